"""SOCKS 4 messages and their wire form (Ying-Da Lee's memos "SOCKS: A protocol for TCP proxy across firewalls" and
"SOCKS 4A: A Simple Extension to SOCKS 4 Protocol"). No IPv6, no UDP and no password; a domain name since 4a.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from codec.address import ANY_IPV4, LONGEST_NAME, Address, AddressType, decode_ipv4, decode_name, encode_ip, encode_name
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError
from codec.packing import pack

VERSION = 4
REPLY_VERSION = 0
"""Replies start with the version of the reply, not with that of the protocol."""

LONGEST_USER_ID = 255
"""The memo sets no limit. A peer that never sends the NUL must not make the other side keep more than this."""


class ResultCode(IntEnum):
    """The second octet of a reply."""

    GRANTED = 90
    REJECTED_OR_FAILED = 91
    IDENTD_UNREACHABLE = 92
    USER_IDS_DIFFER = 93


@dataclass(frozen=True, slots=True)
class Request:
    """What the client wants: `command` is a plain int when it is neither `CONNECT` nor `BIND`.

    `address` is of type IPv4, or a domain name that the proxy is to resolve (4a). `user_id` is who the client says it
    is, for the proxy to compare with what identd says: 0 to 255 octets without NUL.
    """

    command: Command | int
    address: Address
    port: int
    user_id: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """How it went, and, for a `BIND`, the IPv4 address that the server bound (0.0.0.0: its own)."""

    code: ResultCode
    address: Address = ANY_IPV4
    port: int = 0


_HEADER = Struct(">BBH4s")
"""Version, command or result code, port, IPv4 address."""

_NAME_FOLLOWS = b"\0\0\0\1"
_COMMANDS = {command.value: command for command in (Command.CONNECT, Command.BIND)}
_RESULT_CODES = {code.value: code for code in ResultCode}


def encode_request(request: Request) -> bytes:
    """The request on the wire; a domain name is sent the 4a way, behind the user id.

    Raises `LocalProtocolError` for an IPv6 address, for 0.0.0.1 to 0.0.0.255 and for a field out of its range.
    """
    if len(request.user_id) > LONGEST_USER_ID or 0 in request.user_id:
        raise LocalProtocolError(f"a user id has at most {LONGEST_USER_ID} octets and no NUL, not {request.user_id!r}")
    ip, name = _NAME_FOLLOWS, b""
    if request.address.type is AddressType.DOMAIN_NAME:
        name = encode_name(request.address)[1:] + b"\0"
    else:
        ip = _encode_ipv4(request.address)
        if _announces_name(ip):
            raise LocalProtocolError(f"{request.address.host} cannot be asked for: it announces a domain name")
    return pack(_HEADER, VERSION, request.command, request.port, ip) + request.user_id + b"\0" + name


def encode_reply(reply: Reply) -> bytes:
    """The reply on the wire, 8 octets. Raises `LocalProtocolError` for an address that is not IPv4 and a bad port."""
    return pack(_HEADER, REPLY_VERSION, reply.code, reply.port, _encode_ipv4(reply.address))


def refusal() -> bytes:
    """What a proxy sends to a client whose request it will not serve."""
    return encode_reply(Reply(ResultCode.REJECTED_OR_FAILED))


def decode_request(data: bytes | bytearray) -> tuple[Request, int] | NeedData:
    """The request at the start of `data` and where it ends. Errors carry the reply to send.

    A user id or a domain name of more than 255 octets is refused without waiting for its NUL.
    """
    try:
        return _decode_request(data)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(str(error), refusal()) from None


def decode_reply(data: bytes | bytearray) -> tuple[Reply, int] | NeedData:
    """The reply at the start of `data` and where it ends. Unassigned codes read as rejected or failed."""
    if data and data[0] != REPLY_VERSION:
        raise RemoteProtocolError(f"a SOCKS 4 reply starts with version {data[0]}")
    if len(data) < _HEADER.size:
        return NEED_DATA
    _, code, port, ip = _HEADER.unpack_from(data)
    return Reply(_RESULT_CODES.get(code, ResultCode.REJECTED_OR_FAILED), decode_ipv4(ip), port), _HEADER.size


def _decode_request(data: bytes | bytearray) -> tuple[Request, int] | NeedData:
    if data and data[0] != VERSION:
        raise RemoteProtocolError(f"a SOCKS 4 request starts with version {data[0]}")
    end = _find_nul(data, _HEADER.size, LONGEST_USER_ID, "user id")
    if end < 0:
        return NEED_DATA
    _, command, port, ip = _HEADER.unpack_from(data)
    user_id = bytes(data[_HEADER.size : end])
    if not _announces_name(ip):
        address = decode_ipv4(ip)
    else:
        start, end = end + 1, _find_nul(data, end + 1, LONGEST_NAME, "domain name")
        if end < 0:
            return NEED_DATA
        address = decode_name(bytes(data[start:end]))
    return Request(_COMMANDS.get(command, command), address, port, user_id), end + 1


def _find_nul(data: bytes | bytearray, start: int, longest: int, what: str) -> int:
    """Where the string that begins at `start` has its NUL, or -1 while that has not come."""
    end = data.find(0, start, start + longest + 1)
    if end < 0 and len(data) > start + longest:
        raise RemoteProtocolError(f"a {what} of more than {longest} octets")
    return end


def _announces_name(ip: bytes) -> bool:
    """Whether it is 0.0.0.x, which 4a gives a meaning; 0.0.0.0 stays an ordinary address."""
    return ip.startswith(b"\0\0\0") and ip != b"\0\0\0\0"


def _encode_ipv4(address: Address) -> bytes:
    if address.type is not AddressType.IPV4:
        raise LocalProtocolError(f"SOCKS 4 cannot carry {address.host!r} as an address: it is not IPv4")
    return encode_ip(address)
