"""SOCKSv6 draft-11 on the wire. All integers are big endian.

Every decoder takes the octets received so far and returns the message at their start and where it ends, or `NEED_DATA`.
"""

from __future__ import annotations

from struct import Struct

from codec.address import (
    Address,
    AddressType,
    decode_ipv4,
    decode_ipv6,
    decode_name,
    encode_ip,
    encode_name,
)
from codec.command import COMMANDS
from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError
from codec.reply import ReplyCode
from codec.socks6.messages import (
    VERSION,
    AuthenticationReply,
    AuthenticationType,
    OperationReply,
    Request,
    VersionMismatch,
)
from codec.socks6.options import LARGEST_OPTIONS, Options, decode_options, encode_options

_HEADER = Struct(">BBH")
_ENDPOINT_HEADER = Struct(">BBHHBB")
"""Version, command or reply code, options length, port, padding, address type: requests and operation replies."""

_REPLY_CODES: dict[int, ReplyCode] = {code.value: code for code in ReplyCode}


def encode_request(request: Request) -> bytes:
    """The request on the wire, a domain name padded to a multiple of 4 octets; `LocalProtocolError` for a bad port."""
    return _encode_with_endpoint(request.command, request.address, request.port, request.options)


def encode_version_mismatch(_: VersionMismatch) -> bytes:
    """The one octet that a server of this version answers another version with: its own."""
    return bytes((VERSION,))


def encode_authentication_reply(reply: AuthenticationReply) -> bytes:
    """The authentication reply on the wire: version, type, length of the options, options."""
    options = encode_options(reply.options)
    return _HEADER.pack(VERSION, reply.type, len(options)) + options


def encode_operation_reply(reply: OperationReply) -> bytes:
    """The operation reply on the wire, laid out as a request is; `LocalProtocolError` for a bad port."""
    return _encode_with_endpoint(reply.code, reply.address, reply.port, reply.options)


def refusal(code: ReplyCode) -> bytes:
    """What a proxy sends to a client whose request it will not serve: authentication passed, operation failed."""
    authenticated = encode_authentication_reply(AuthenticationReply(AuthenticationType.SUCCESS))
    return authenticated + encode_operation_reply(OperationReply(code))


def decode_request(data: bytes) -> tuple[Request, int] | NeedData:
    """The request at the start of `data` and where it ends. Errors carry the reply to send."""
    if data and data[0] != VERSION:
        raise RemoteProtocolError(f"a request of version {data[0]}", encode_version_mismatch(VersionMismatch()))
    try:
        decoded = _decode_with_endpoint(data)
    except RemoteProtocolError as error:
        known = len(data) < _ENDPOINT_HEADER.size or data[7] in _ADDRESS_TYPES
        code = ReplyCode.GENERAL_FAILURE if known else ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED
        raise RemoteProtocolError(str(error), refusal(code)) from None
    if decoded is NEED_DATA:
        return NEED_DATA
    command, address, port, options, end = decoded
    return Request(COMMANDS.get(command, command), address, port, options), end


def decode_authentication_reply(data: bytes) -> tuple[AuthenticationReply, int] | NeedData:
    """The authentication reply at the start of `data` and where it ends.

    A version mismatch reply is a prefix of it: a lone version octet before the end of the stream means that one.
    """
    _check_version(data)
    if len(data) < _HEADER.size:
        return NEED_DATA
    _, kind, options_length = _HEADER.unpack_from(data)
    if kind > AuthenticationType.FAILURE:
        raise RemoteProtocolError(f"unknown type {kind} of an authentication reply")
    end = _HEADER.size + _checked_options_length(options_length)
    if len(data) < end:
        return NEED_DATA
    return AuthenticationReply(AuthenticationType(kind), decode_options(data[_HEADER.size : end])), end


def decode_operation_reply(data: bytes) -> tuple[OperationReply, int] | NeedData:
    """The operation reply at the start of `data` and where it ends. Unassigned codes read as a general failure."""
    _check_version(data)
    decoded = _decode_with_endpoint(data)
    if decoded is NEED_DATA:
        return NEED_DATA
    code, address, port, options, end = decoded
    return OperationReply(_REPLY_CODES.get(code, ReplyCode.GENERAL_FAILURE), address, port, options), end


_ADDRESS_TYPES = frozenset(AddressType)


def _check_version(data: bytes) -> None:
    if data and data[0] != VERSION:
        raise RemoteProtocolError(f"a reply of version {data[0]}")


def _checked_options_length(length: int) -> int:
    if length > LARGEST_OPTIONS:
        raise RemoteProtocolError(f"{length} octets of options, at most {LARGEST_OPTIONS} are allowed")
    return length


def _encode_with_endpoint(octet: int, address: Address, port: int, options: Options) -> bytes:
    encoded_options = encode_options(options) if options else b""
    if not 0 <= port <= 0xFFFF:
        raise LocalProtocolError(f"{port} is not a port number")
    header = _ENDPOINT_HEADER.pack(VERSION, octet, len(encoded_options), port, 0, address.type)
    if address.type is AddressType.DOMAIN_NAME:
        name = encode_name(address)
        # The length octet does not count the padding: the literal reading of draft-11, and what its peers accept.
        return header + name + bytes(-len(name) % 4) + encoded_options
    return header + encode_ip(address) + encoded_options


def _decode_with_endpoint(data: bytes) -> tuple[int, Address, int, Options, int] | NeedData:
    """The octet behind the version, address, port, options, and where they end."""
    start = _ENDPOINT_HEADER.size
    if len(data) < start:
        return NEED_DATA
    _, octet, options_length, port, _, kind = _ENDPOINT_HEADER.unpack_from(data)
    if options_length:
        _checked_options_length(options_length)
    if kind == AddressType.IPV4:
        options_start = start + 4
    elif kind == AddressType.IPV6:
        options_start = start + 16
    elif kind == AddressType.DOMAIN_NAME:
        if len(data) == start:
            return NEED_DATA
        # Right for both spellings: a length octet that counts the padding makes a multiple of 4 by itself.
        options_start = start + (1 + data[start] + 3) // 4 * 4
    else:
        raise RemoteProtocolError(f"unknown address type {kind}")
    end = options_start + options_length
    if len(data) < end:
        return NEED_DATA
    address = _decode_address(kind, data, start)
    return octet, address, port, decode_options(data[options_start:end]) if options_length else (), end


def _decode_address(kind: int, data: bytes, start: int) -> Address:
    if kind == AddressType.IPV4:
        return decode_ipv4(data[start : start + 4])
    if kind == AddressType.IPV6:
        return decode_ipv6(data[start : start + 16])
    return decode_name(data[start + 1 : start + 1 + data[start]])
