"""draft-04 on the wire. Versions take two octets, names are not padded, and the operation reply has no version.

Every decoder takes the octets received so far and returns the message at their start and where it ends, or `NEED_DATA`.
`version` is the first octet to write, or to insist on. `faults`, where given, notes options that were dropped. `walk`,
where given, is kept between calls for one message, so that none of it is gone over again.
"""

from __future__ import annotations

from struct import Struct

from codec.address import Address, AddressType, decode_ipv4, decode_ipv6, decode_name, encode_ip, encode_name
from codec.command import COMMANDS, Command
from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError, VersionMismatchError
from codec.method import METHODS
from codec.packing import pack
from codec.reply import REPLY_CODES, ReplyCode
from codec.socks6.draft04.messages import (
    VERSION,
    AuthenticationReply,
    AuthenticationType,
    OperationReply,
    Request,
    VersionMismatch,
)
from codec.socks6.draft04.option_list import Walk, decode_options, encode_options
from codec.socks6.option import Place
from codec.socks6.option_list import OptionFault

Faults = list[OptionFault] | None

_MINOR_VERSION = 0
_VERSION = Struct(">BB")
_REQUEST_HEADER = Struct(">BBBHHB")
"""Version, command, initial data size, port, address type."""
_AUTHENTICATION_HEADER = Struct(">BBBB")
"""Version, type, method."""
_OPERATION_HEADER = Struct(">BHHB")
"""Reply code, initial data offset, port, address type."""


def encode_request(request: Request, version: int = VERSION) -> bytes:
    """The request on the wire, without its initial data. `LocalProtocolError` for a number that does not fit."""
    size, address = request.initial_data_size, request.address
    if size and request.command is not Command.CONNECT:
        raise LocalProtocolError("only a CONNECT has initial data")
    header = pack(_REQUEST_HEADER, version, _MINOR_VERSION, request.command, size, request.port, address.type)
    return header + _encode_address(address) + encode_options(request.options, Place.REQUEST)


def encode_version_mismatch(mismatch: VersionMismatch) -> bytes:
    """The two octets that a proxy answers another version with: its own."""
    return pack(_VERSION, mismatch.version, _MINOR_VERSION)


def encode_authentication_reply(reply: AuthenticationReply, version: int = VERSION) -> bytes:
    """The authentication reply on the wire: version, type, method, options."""
    header = pack(_AUTHENTICATION_HEADER, version, _MINOR_VERSION, reply.type, reply.method)
    return header + encode_options(reply.options, Place.AUTHENTICATION_REPLY)


def encode_operation_reply(reply: OperationReply) -> bytes:
    """The operation reply on the wire. `LocalProtocolError` for a number that does not fit."""
    header = pack(_OPERATION_HEADER, reply.code, reply.initial_data_offset, reply.port, reply.address.type)
    return header + _encode_address(reply.address) + encode_options(reply.options, Place.OPERATION_REPLY)


def refusal(code: ReplyCode, version: int = VERSION) -> bytes:
    """What a proxy sends to a client whose request it will not serve: authentication passed, operation failed."""
    authenticated = encode_authentication_reply(AuthenticationReply(AuthenticationType.SUCCESS), version)
    return authenticated + encode_operation_reply(OperationReply(code))


def decode_request(
    data: bytes | bytearray, version: int = VERSION, faults: Faults = None, walk: Walk | None = None
) -> tuple[Request, int] | NeedData:
    """The request at the start of `data` and where its options end. Errors carry the reply to send."""
    _check_version(data, version, encode_version_mismatch(VersionMismatch(version)))
    if len(data) < _REQUEST_HEADER.size:
        return NEED_DATA
    _, _, command, size, port, kind = _REQUEST_HEADER.unpack_from(data)
    try:
        found = _decode_address(kind, data, _REQUEST_HEADER.size)
        if found is NEED_DATA:
            return NEED_DATA
        decoded = decode_options(data, found[1], Place.REQUEST, faults, walk)
    except RemoteProtocolError as error:
        known = kind in _ADDRESS_TYPES
        code = ReplyCode.GENERAL_FAILURE if known else ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED
        raise RemoteProtocolError(str(error), refusal(code, version)) from None
    if decoded is NEED_DATA:
        return NEED_DATA
    return Request(COMMANDS.get(command, command), found[0], port, size, decoded[0]), decoded[1]


def decode_version_mismatch(data: bytes | bytearray, version: int = VERSION) -> tuple[VersionMismatch, int] | NeedData:
    """A version mismatch reply. It is a prefix of an authentication reply: decode it when the stream has ended."""
    _check_version(data, version)
    return (VersionMismatch(version), _VERSION.size) if len(data) >= _VERSION.size else NEED_DATA


def decode_authentication_reply(
    data: bytes | bytearray, version: int = VERSION, faults: Faults = None, walk: Walk | None = None
) -> tuple[AuthenticationReply, int] | NeedData:
    """The authentication reply at the start of `data` and where it ends."""
    _check_version(data, version)
    if len(data) < _AUTHENTICATION_HEADER.size:
        return NEED_DATA
    _, _, kind, method = _AUTHENTICATION_HEADER.unpack_from(data)
    if kind > AuthenticationType.MORE_NEEDED:
        raise RemoteProtocolError(f"unknown type {kind} of an authentication reply")
    decoded = decode_options(data, _AUTHENTICATION_HEADER.size, Place.AUTHENTICATION_REPLY, faults, walk)
    if decoded is NEED_DATA:
        return NEED_DATA
    return AuthenticationReply(AuthenticationType(kind), METHODS.get(method, method), decoded[0]), decoded[1]


def decode_operation_reply(
    data: bytes | bytearray, faults: Faults = None, walk: Walk | None = None
) -> tuple[OperationReply, int] | NeedData:
    """The operation reply at the start of `data` and where it ends. Unassigned codes read as a general failure."""
    if len(data) < _OPERATION_HEADER.size:
        return NEED_DATA
    code, offset, port, kind = _OPERATION_HEADER.unpack_from(data)
    found = _decode_address(kind, data, _OPERATION_HEADER.size)
    if found is NEED_DATA:
        return NEED_DATA
    decoded = decode_options(data, found[1], Place.OPERATION_REPLY, faults, walk)
    if decoded is NEED_DATA:
        return NEED_DATA
    reply_code = REPLY_CODES.get(code, ReplyCode.GENERAL_FAILURE)
    return OperationReply(reply_code, found[0], port, offset, decoded[0]), decoded[1]


_ADDRESS_TYPES = frozenset(AddressType)


def _check_version(data: bytes | bytearray, version: int, reply: bytes = b"") -> None:
    if data and data[0] != version:
        raise VersionMismatchError(f"version {data[0]}, not {version}", reply)
    if len(data) > 1 and data[1] != _MINOR_VERSION:
        raise VersionMismatchError(f"minor version {data[1]}, not {_MINOR_VERSION}", reply)


def _encode_address(address: Address) -> bytes:
    return encode_name(address) if address.type is AddressType.DOMAIN_NAME else encode_ip(address)


def _decode_address(kind: int, data: bytes | bytearray, start: int) -> tuple[Address, int] | NeedData:
    """The address in the field at `start` and where that ends."""
    if kind == AddressType.IPV4:
        end = start + 4
        return (decode_ipv4(data[start:end]), end) if len(data) >= end else NEED_DATA
    if kind == AddressType.IPV6:
        end = start + 16
        return (decode_ipv6(data[start:end]), end) if len(data) >= end else NEED_DATA
    if kind != AddressType.DOMAIN_NAME:
        raise RemoteProtocolError(f"unknown address type {kind}")
    end = start + 1 + data[start] if len(data) > start else 0
    return (decode_name(bytes(data[start + 1 : end])), end) if 0 < end <= len(data) else NEED_DATA
