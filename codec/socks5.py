"""SOCKS 5 messages and their wire form (RFC 1928); `codec.rfc1929` has those of its user name and password method."""

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
from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError
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


@dataclass(frozen=True, slots=True)
class Datagram:
    """What a UDP association carries, in either direction.

    `address` and `port` are the destination when the client sends it and the source when the proxy does. `fragment` is
    0 for a datagram in one piece; a proxy that does not reassemble drops all others (RFC 1928 section 7).
    """

    address: Address
    port: int
    data: bytes
    fragment: int = 0


def encode_greeting(greeting: Greeting) -> bytes:
    """The client's first message: the methods that it offers, 255 at most (RFC 1928, section 3)."""
    return _octets(VERSION, len(greeting.methods)) + greeting.methods


def encode_method_selection(selection: MethodSelection) -> bytes:
    """The server's answer to a greeting: the method that it chose (RFC 1928, section 3)."""
    return _octets(VERSION, selection.method)


def encode_request(request: Request) -> bytes:
    """The request on the wire (RFC 1928, section 4)."""
    return _octets(VERSION, request.command, 0) + _encode_endpoint(request.address, request.port)


def encode_reply(reply: Reply) -> bytes:
    """The reply on the wire (RFC 1928, section 6), which has no code for a timeout: the host is told as unreachable."""
    code = ReplyCode.HOST_UNREACHABLE if reply.code is ReplyCode.TIMED_OUT else reply.code
    return _octets(VERSION, code, 0) + _encode_endpoint(reply.address, reply.port)


def encode_datagram(datagram: Datagram) -> bytes:
    """The whole UDP packet (RFC 1928, section 7)."""
    return _octets(0, 0, datagram.fragment) + _encode_endpoint(datagram.address, datagram.port) + datagram.data


def decode_greeting(data: bytes | bytearray) -> tuple[Greeting, int] | NeedData:
    """The greeting at the start of `data` and where it ends."""
    _check_version(data)
    if len(data) < 2 or len(data) < 2 + data[1]:
        return NEED_DATA
    end = 2 + data[1]
    return Greeting(bytes(data[2:end])), end


def decode_method_selection(data: bytes | bytearray) -> tuple[MethodSelection, int] | NeedData:
    """The method selection at the start of `data` and where it ends."""
    _check_version(data)
    return (MethodSelection(METHODS.get(data[1], data[1])), 2) if len(data) >= 2 else NEED_DATA


def decode_request(data: bytes | bytearray) -> tuple[Request, int] | NeedData:
    """The request at the start of `data` and where it ends. Errors carry the reply to send."""
    try:
        _check_version(data)
        end = _message_end(data)
        if end == 0 or len(data) < end:
            return NEED_DATA
        address = _decode_address(data, end)
    except RemoteProtocolError as error:
        known = len(data) < 4 or data[0] != VERSION or data[3] in _ADDRESS_TYPES
        code = ReplyCode.GENERAL_FAILURE if known else ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED
        raise RemoteProtocolError(str(error), encode_reply(Reply(code))) from None
    return Request(COMMANDS.get(data[1], data[1]), address, _decode_port(data, end)), end


def decode_reply(data: bytes | bytearray) -> tuple[Reply, int] | NeedData:
    """The reply at the start of `data` and where it ends. Unassigned codes read as a general failure."""
    _check_version(data)
    end = _message_end(data)
    if end == 0 or len(data) < end:
        return NEED_DATA
    code = _REPLY_CODES.get(data[1], ReplyCode.GENERAL_FAILURE)
    return Reply(code, _decode_address(data, end), _decode_port(data, end)), end


def decode_datagram(packet: bytes | bytearray) -> Datagram:
    """What a UDP packet holds. One that ends before its port does is an error: the rest cannot follow."""
    end = _message_end(packet)
    if end == 0 or len(packet) < end:
        raise RemoteProtocolError(f"a UDP packet of {len(packet)} octets is too short for its header")
    return Datagram(_decode_address(packet, end), _decode_port(packet, end), bytes(packet[end:]), packet[2])


_ADDRESS_TYPES = frozenset(AddressType)


def _check_version(data: bytes | bytearray) -> None:
    if data and data[0] != VERSION:
        raise RemoteProtocolError(f"a SOCKS 5 message starts with version {data[0]}")


# The functions below serve requests, replies and datagrams: each has three octets of its own before the address type.


def _message_end(data: bytes | bytearray) -> int:
    """Where the port ends, or 0 while it cannot be told."""
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


def _decode_address(data: bytes | bytearray, end: int) -> Address:
    kind = data[3]
    if kind == AddressType.IPV4:
        return decode_ipv4(bytes(data[4:8]))
    if kind == AddressType.IPV6:
        return decode_ipv6(bytes(data[4:20]))
    return decode_name(bytes(data[5 : end - 2]))


def _decode_port(data: bytes | bytearray, end: int) -> int:
    return data[end - 2] << 8 | data[end - 1]


def _octets(*values: int) -> bytes:
    try:
        return bytes(values)
    except ValueError:
        raise LocalProtocolError(f"one of {values} does not fit in an octet") from None


def _encode_endpoint(address: Address, port: int) -> bytes:
    if not 0 <= port <= 0xFFFF:
        raise LocalProtocolError(f"{port} is not a port number")
    field = encode_name(address) if address.type is AddressType.DOMAIN_NAME else encode_ip(address)
    return bytes((address.type,)) + field + port.to_bytes(2, "big")
