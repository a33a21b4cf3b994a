"""UDP associations (draft-11 "Handling UDP ASSOCIATE"): their messages, over TCP, UDP or DTLS.

Every message starts with `version | type | length of the whole (2) | association ID (8)`. Note that the address type
stands before the port here, and behind it in a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import TypeAlias

from codec.address import Address, AddressType
from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError, VersionMismatchError
from codec.packing import pack
from codec.socks6.address_field import address_end, decode_address, encode_address
from codec.socks6.messages import VERSION

ID_LENGTH = 8
LARGEST_MESSAGE = 0xFFFF

_HEADER = Struct(">BBH8s")
_ENDPOINT_HEADER = Struct(">BBH")
"""Address type, padding, port."""
_REPORTER_HEADER = Struct(">BBH")
"""Address type, error code, padding. Draft-09 had the first two the other way round."""


class MessageType(IntEnum):
    """The type octet."""

    INIT = 1
    CONFIRMATION = 2
    DATAGRAM = 3
    ERROR = 4


class ErrorCode(IntEnum):
    """Why a datagram did not arrive."""

    NETWORK_UNREACHABLE = 1
    HOST_UNREACHABLE = 2
    TTL_EXPIRED = 3
    TOO_BIG = 4
    """IPv6 only, since draft-10."""


@dataclass(frozen=True, slots=True)
class AssociationInit:
    """From the proxy, over TCP, behind the operation reply: the 8 octets that name the association from now on."""

    association_id: bytes


@dataclass(frozen=True, slots=True)
class AssociationConfirmation:
    """From the proxy, over TCP: the first datagram has come, and says how the client will send."""

    association_id: bytes


@dataclass(frozen=True, slots=True)
class Datagram:
    """Data for the host named (from the client), or from it (from the proxy)."""

    association_id: bytes
    address: Address
    port: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class DatagramError:
    """From the proxy, where the client asked for such: `reporter` says that a datagram did not arrive."""

    association_id: bytes
    address: Address
    port: int
    code: ErrorCode
    reporter: Address


UdpMessage: TypeAlias = AssociationInit | AssociationConfirmation | Datagram | DatagramError

_ERROR_CODES: Mapping[int, ErrorCode] = {code.value: code for code in ErrorCode}


def encode_udp(message: UdpMessage, version: int = VERSION) -> bytes:
    """The message on the wire. `LocalProtocolError` for more than 65535 octets, and for an ID not of 8 octets."""
    if len(message.association_id) != ID_LENGTH:
        raise LocalProtocolError(f"an association ID has {ID_LENGTH} octets, not {len(message.association_id)}")
    kind, rest = _encode_rest(message)
    length = _HEADER.size + len(rest)
    if length > LARGEST_MESSAGE:
        raise LocalProtocolError(f"a message of {length} octets, at most {LARGEST_MESSAGE} are allowed")
    return pack(_HEADER, version, kind, length, message.association_id) + rest


def decode_udp(data: bytes | bytearray, version: int = VERSION) -> tuple[UdpMessage, int] | NeedData:
    """The message at the start of `data` and where it ends: over TCP the rest is the next one, over UDP garbage.

    `NEED_DATA` over UDP means a length beyond the packet, which is to be ignored.
    """
    if data and data[0] != version:
        raise VersionMismatchError(f"a UDP message of version {data[0]}, not {version}")
    if len(data) < _HEADER.size:
        return NEED_DATA
    _, kind, length, association_id = _HEADER.unpack_from(data)
    if not MessageType.INIT <= kind <= MessageType.ERROR:
        raise RemoteProtocolError(f"unknown type {kind} of a UDP message")
    bare = kind <= MessageType.CONFIRMATION
    if length < _HEADER.size or (bare and length != _HEADER.size):
        raise RemoteProtocolError(f"a UDP message of type {kind} has a bad length of {length}")
    if len(data) < length:
        return NEED_DATA
    if bare:
        named = AssociationInit if kind == MessageType.INIT else AssociationConfirmation
        return named(association_id), length
    return _decode_rest(kind, association_id, data, length), length


def _encode_rest(message: UdpMessage) -> tuple[MessageType, bytes]:
    """The type, and what follows the header."""
    if isinstance(message, AssociationInit):
        return MessageType.INIT, b""
    if isinstance(message, AssociationConfirmation):
        return MessageType.CONFIRMATION, b""
    endpoint = pack(_ENDPOINT_HEADER, message.address.type, 0, message.port) + encode_address(message.address)
    if isinstance(message, Datagram):
        return MessageType.DATAGRAM, endpoint + message.data
    if AddressType.DOMAIN_NAME in (message.address.type, message.reporter.type):
        raise LocalProtocolError("a UDP error names IP addresses only")
    reporter = pack(_REPORTER_HEADER, message.reporter.type, message.code, 0) + encode_address(message.reporter)
    return MessageType.ERROR, endpoint + reporter


def _decode_rest(kind: int, association_id: bytes, data: bytes | bytearray, end: int) -> Datagram | DatagramError:
    start = _HEADER.size
    if end < start + _ENDPOINT_HEADER.size:
        raise RemoteProtocolError("a datagram without an address")
    address_type, _, port = _ENDPOINT_HEADER.unpack_from(data, start)
    address, start = _decode_endpoint(address_type, data, start + _ENDPOINT_HEADER.size, end)
    if kind == MessageType.DATAGRAM:
        return Datagram(association_id, address, port, bytes(data[start:end]))
    if end < start + _REPORTER_HEADER.size:
        raise RemoteProtocolError("a UDP error without a reporter")
    reporter_type, number, _ = _REPORTER_HEADER.unpack_from(data, start)
    reporter, start = _decode_endpoint(reporter_type, data, start + _REPORTER_HEADER.size, end)
    code = _ERROR_CODES.get(number)
    if code is None:
        raise RemoteProtocolError(f"unknown code {number} of a UDP error")
    if start != end or AddressType.DOMAIN_NAME in (address_type, reporter_type):
        raise RemoteProtocolError("a UDP error of a bad length, or about a name")
    return DatagramError(association_id, address, port, code, reporter)


def _decode_endpoint(kind: int, data: bytes | bytearray, start: int, end: int) -> tuple[Address, int]:
    """The address in the field at `start` and where that ends, which is not behind `end`."""
    field_end = address_end(kind, data, start) if start < end else 0
    if not start < field_end <= end:
        raise RemoteProtocolError("an address is cut off")
    return decode_address(kind, data, start), field_end
