"""SOCKSv6 draft-11 on the wire. All integers are big endian.

Every decoder takes the octets received so far and returns the message at their start and where it ends, or `NEED_DATA`.
`version` is the version octet to write, or to insist on. `faults`, where given, notes options that were dropped.
"""

from __future__ import annotations

from struct import Struct

from codec.address import Address, AddressType, decode_ipv4
from codec.command import COMMANDS, Command
from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError, VersionMismatchError
from codec.packing import pack
from codec.reply import REPLY_CODES, ReplyCode
from codec.socks6.address_field import address_end, decode_address, encode_address
from codec.socks6.messages import (
    VERSION,
    AuthenticationReply,
    AuthenticationType,
    OperationReply,
    Request,
    VersionMismatch,
)
from codec.socks6.option import Place
from codec.socks6.option_list import LARGEST_OPTIONS, OptionFault, Options, decode_options, encode_options

Faults = list[OptionFault] | None

_MISMATCH = Struct(">B")
_HEADER = Struct(">BBH")
_ENDPOINT_HEADER = Struct(">BBHHBB")
"""Version, command or reply code, options length, port, padding, address type: requests and operation replies."""
_ENDPOINT_SIZE = _ENDPOINT_HEADER.size
_IPV4_ENDPOINT = Struct(">BBHHBB4s")
"""The same with an IPv4 address behind it."""
_IPV4_SIZE = _IPV4_ENDPOINT.size
_IPV4 = AddressType.IPV4.value

_ADDRESS_TYPES: dict[int, AddressType] = {kind.value: kind for kind in AddressType}


def encode_request(request: Request, version: int = VERSION) -> bytes:
    """The request on the wire, a domain name padded to a multiple of 4 octets.

    `LocalProtocolError` for a bad port, and for a NOOP that names a destination.
    """
    address = request.address
    if request.command is Command.NOOP and (request.port or any(encode_address(address))):
        raise LocalProtocolError("a NOOP goes nowhere: its address and port are zeros")
    options = encode_options(request.options, Place.REQUEST) if request.options else b""
    return _encode_with_endpoint(version, request.command, address, request.port, options)


def encode_version_mismatch(mismatch: VersionMismatch) -> bytes:
    """The one octet that a proxy answers another version with: its own."""
    return pack(_MISMATCH, mismatch.version)


def encode_authentication_reply(reply: AuthenticationReply, version: int = VERSION) -> bytes:
    """The authentication reply on the wire: version, type, length of the options, options."""
    options = encode_options(reply.options, Place.AUTHENTICATION_REPLY)
    return pack(_HEADER, version, reply.type, len(options)) + options


def encode_operation_reply(reply: OperationReply, version: int = VERSION) -> bytes:
    """The operation reply on the wire, laid out as a request is; `LocalProtocolError` for a bad port."""
    return encode_operation(reply.code, reply.address, reply.port, reply.options, version)


def encode_operation(code: ReplyCode, address: Address, port: int, options: Options, version: int = VERSION) -> bytes:
    """The same of what the reply consists of: for a server, which has no use for the reply itself."""
    encoded = encode_options(options, Place.OPERATION_REPLY) if options else b""
    return _encode_with_endpoint(version, code, address, port, encoded)


def refusal(code: ReplyCode, version: int = VERSION) -> bytes:
    """What a proxy sends to a client whose request it will not serve: authentication passed, operation failed."""
    authenticated = encode_authentication_reply(AuthenticationReply(AuthenticationType.SUCCESS), version)
    return authenticated + encode_operation_reply(OperationReply(code), version)


def decode_request(
    data: bytes | bytearray, version: int = VERSION, faults: Faults = None
) -> tuple[Request, int] | NeedData:
    """The request at the start of `data` and where it ends. Errors carry the reply to send."""
    if len(data) >= _IPV4_SIZE:
        first, command, options_length, port, _, kind, octets = _IPV4_ENDPOINT.unpack_from(data)
        if kind == _IPV4 and not options_length and first == version:
            # The most common request has nothing else to look at, and a server decodes one for every connection.
            return Request(COMMANDS.get(command, command), decode_ipv4(octets), port), _IPV4_SIZE
    if data and data[0] != version:
        mismatch = encode_version_mismatch(VersionMismatch(version))
        raise VersionMismatchError(f"a request of version {data[0]}, not {version}", mismatch)
    try:
        framed = _frame(data)
        if framed is NEED_DATA:
            return NEED_DATA
        command, port, options_start, end = framed
        address = decode_address(data[7], data, _ENDPOINT_SIZE)
        options: Options = ()
        if end > options_start:
            options = decode_options(bytes(data[options_start:end]), Place.REQUEST, faults)
    except RemoteProtocolError as error:
        known = len(data) < _ENDPOINT_SIZE or data[7] in _ADDRESS_TYPES
        code = ReplyCode.GENERAL_FAILURE if known else ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED
        raise RemoteProtocolError(str(error), refusal(code, version)) from None
    return Request(COMMANDS.get(command, command), address, port, options), end


def decode_version_mismatch(data: bytes | bytearray, version: int = VERSION) -> tuple[VersionMismatch, int] | NeedData:
    """A version mismatch reply. It is a prefix of an authentication reply: decode it when the stream has ended."""
    _check_version(data, version)
    return (VersionMismatch(version), 1) if data else NEED_DATA


def decode_authentication_reply(
    data: bytes | bytearray, version: int = VERSION, faults: Faults = None
) -> tuple[AuthenticationReply, int] | NeedData:
    """The authentication reply at the start of `data` and where it ends.

    A version mismatch reply is a prefix of it: a lone version octet before the end of the stream means that one.
    """
    _check_version(data, version)
    if len(data) < _HEADER.size:
        return NEED_DATA
    _, kind, options_length = _HEADER.unpack_from(data)
    if kind > AuthenticationType.FAILURE:
        raise RemoteProtocolError(f"unknown type {kind} of an authentication reply")
    end = _HEADER.size + _checked_options_length(options_length)
    if len(data) < end:
        return NEED_DATA
    options = decode_options(bytes(data[_HEADER.size : end]), Place.AUTHENTICATION_REPLY, faults)
    return AuthenticationReply(AuthenticationType(kind), options), end


def decode_operation_reply(
    data: bytes | bytearray, version: int = VERSION, faults: Faults = None
) -> tuple[OperationReply, int] | NeedData:
    """The operation reply at the start of `data` and where it ends. Unassigned codes read as a general failure."""
    _check_version(data, version)
    framed = _frame(data)
    if framed is NEED_DATA:
        return NEED_DATA
    code, port, options_start, end = framed
    options = decode_options(bytes(data[options_start:end]), Place.OPERATION_REPLY, faults)
    address = decode_address(data[7], data, _ENDPOINT_SIZE)
    return OperationReply(REPLY_CODES.get(code, ReplyCode.GENERAL_FAILURE), address, port, options), end


def _check_version(data: bytes | bytearray, version: int) -> None:
    if data and data[0] != version:
        raise VersionMismatchError(f"a reply of version {data[0]}, not {version}")


def _checked_options_length(length: int) -> int:
    if length > LARGEST_OPTIONS:
        raise RemoteProtocolError(f"{length} octets of options, at most {LARGEST_OPTIONS} are allowed")
    return length


def _encode_with_endpoint(version: int, octet: int, address: Address, port: int, options: bytes) -> bytes:
    header = pack(_ENDPOINT_HEADER, version, octet, len(options), port, 0, address.type)
    return header + encode_address(address) + options


def _frame(data: bytes | bytearray) -> tuple[int, int, int, int] | NeedData:
    """Of a request or an operation reply: command or code, port, where the options start, and where they end."""
    if len(data) < _ENDPOINT_SIZE:
        return NEED_DATA
    _, octet, options_length, port, _, kind = _ENDPOINT_HEADER.unpack_from(data)
    if options_length > LARGEST_OPTIONS:
        _checked_options_length(options_length)
    options_start = address_end(kind, data, _ENDPOINT_SIZE)
    end = options_start + options_length
    if not options_start or len(data) < end:
        return NEED_DATA
    return octet, port, options_start, end
