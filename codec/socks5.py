"""SOCKS 5 messages and their wire form (RFC 1928)."""

from __future__ import annotations

from dataclasses import dataclass

from codec.address import (
    ANY_IPV4,
    Address,
    AddressType,
    decode_ipv4,
    decode_ipv6,
    decode_name,
    encode_ip,
    encode_name,
)
from codec.command import COMMANDS, Command
from codec.errors import NEED_DATA, NeedData, RemoteProtocolError
from codec.method import METHODS, AuthenticationMethod
from codec.reply import ReplyCode

VERSION = 5
_REPLY_CODES: dict[int, ReplyCode] = {code.value: code for code in ReplyCode if code is not ReplyCode.TIMED_OUT}


@dataclass(frozen=True, slots=True)
class Greeting:
    """The client's first message: the methods it can do, one octet each."""

    methods: bytes


@dataclass(frozen=True, slots=True)
class MethodSelection:
    """The server's choice: a plain int when it is unknown; `NONE_ACCEPTABLE` ends the conversation."""

    method: AuthenticationMethod | int


@dataclass(frozen=True, slots=True)
class Request:
    """What the client wants: `command` is a plain int when it is unknown."""

    command: Command | int
    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class Reply:
    """How it went, and the address that the server bound for it."""

    code: ReplyCode
    address: Address = ANY_IPV4
    port: int = 0


def encode_greeting(greeting: Greeting) -> bytes:
    """The client's first message: the methods that it offers (RFC 1928, section 3)."""
    return bytes((VERSION, len(greeting.methods))) + greeting.methods


def encode_method_selection(selection: MethodSelection) -> bytes:
    """The server's answer to a greeting: the method that it chose (RFC 1928, section 3)."""
    return bytes((VERSION, selection.method))


def encode_request(request: Request) -> bytes:
    """The request on the wire (RFC 1928, section 4)."""
    return bytes((VERSION, request.command, 0)) + _encode_endpoint(request.address, request.port)


def encode_reply(reply: Reply) -> bytes:
    """The reply on the wire (RFC 1928, section 6), which has no code for a timeout: the host is told as unreachable."""
    code = ReplyCode.HOST_UNREACHABLE if reply.code is ReplyCode.TIMED_OUT else reply.code
    return bytes((VERSION, code, 0)) + _encode_endpoint(reply.address, reply.port)


def decode_greeting(data: bytes) -> tuple[Greeting, int] | NeedData:
    """The greeting at the start of `data` and where it ends."""
    _check_version(data)
    if len(data) < 2 or len(data) < 2 + data[1]:
        return NEED_DATA
    end = 2 + data[1]
    return Greeting(data[2:end]), end


def decode_method_selection(data: bytes) -> tuple[MethodSelection, int] | NeedData:
    """The method selection at the start of `data` and where it ends."""
    _check_version(data)
    return (MethodSelection(METHODS.get(data[1], data[1])), 2) if len(data) >= 2 else NEED_DATA


def decode_request(data: bytes) -> tuple[Request, int] | NeedData:
    """The request at the start of `data` and where it ends. Errors carry the reply to send."""
    try:
        _check_version(data)
        end = _message_end(data)
        if end == 0 or len(data) < end:
            return NEED_DATA
        address = _decode_address(data, end)
    except RemoteProtocolError as error:
        known = len(data) < 4 or data[3] in _ADDRESS_TYPES
        code = ReplyCode.GENERAL_FAILURE if known else ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED
        raise RemoteProtocolError(str(error), encode_reply(Reply(code))) from None
    return Request(COMMANDS.get(data[1], data[1]), address, data[end - 2] << 8 | data[end - 1]), end


def decode_reply(data: bytes) -> tuple[Reply, int] | NeedData:
    """The reply at the start of `data` and where it ends. Unassigned codes read as a general failure."""
    _check_version(data)
    end = _message_end(data)
    if end == 0 or len(data) < end:
        return NEED_DATA
    code = _REPLY_CODES.get(data[1], ReplyCode.GENERAL_FAILURE)
    return Reply(code, _decode_address(data, end), data[end - 2] << 8 | data[end - 1]), end


_ADDRESS_TYPES = frozenset(AddressType)


def _check_version(data: bytes) -> None:
    if data and data[0] != VERSION:
        raise RemoteProtocolError(f"a SOCKS 5 message starts with version {data[0]}")


def _message_end(data: bytes) -> int:
    """The length of a request or a reply, or 0 while it cannot be told."""
    if len(data) < 5:
        if len(data) == 4 and data[3] not in _ADDRESS_TYPES:
            raise RemoteProtocolError(f"unknown address type {data[3]}")
        return 0
    kind = data[3]
    if kind == AddressType.IPV4:
        return 10
    if kind == AddressType.DOMAIN_NAME:
        return 7 + data[4]
    if kind == AddressType.IPV6:
        return 22
    raise RemoteProtocolError(f"unknown address type {kind}")


def _decode_address(data: bytes, end: int) -> Address:
    kind = data[3]
    if kind == AddressType.IPV4:
        return decode_ipv4(data[4:8])
    if kind == AddressType.IPV6:
        return decode_ipv6(data[4:20])
    return decode_name(data[5 : end - 2])


def _encode_endpoint(address: Address, port: int) -> bytes:
    field = encode_name(address) if address.type is AddressType.DOMAIN_NAME else encode_ip(address)
    return bytes((address.type,)) + field + port.to_bytes(2, "big")
