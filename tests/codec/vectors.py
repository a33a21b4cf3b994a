"""The grammar of the vector files: a line such as `req connect v4=192.0.2.1 443 tos:2:46` as a message of the codec.

Only draft-11 requests, version mismatch, authentication and operation replies are covered.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec.address import Address, AddressType
from codec.command import Command
from codec.errors import NEED_DATA, NeedData, RemoteProtocolError
from codec.reply import ReplyCode
from codec.socks6 import messages as socks6
from codec.socks6 import stack, wire
from codec.socks6.options import Option, Options, RawOption

Message = socks6.Request | socks6.VersionMismatch | socks6.AuthenticationReply | socks6.OperationReply
FILE = Path(__file__).parent / "vectors" / "socks6.json"
KINDS = ("req", "ver", "auth", "op")
PADDING_COUNTED = " (padding counted)"


@dataclass(frozen=True, slots=True)
class Case:
    """One entry of the file. `message` or `parse` is empty; `accept` belongs to `parse`."""

    id: str
    draft: str
    octets: bytes
    message: str
    parse: str
    accept: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.parse or self.message.split()[0]

    @property
    def covered(self) -> bool:
        return self.draft == "11" and self.kind in KINDS


def load(path: Path = FILE) -> list[Case]:
    """Every case in the file."""
    return [_case(entry) for entry in json.loads(path.read_text())]


def _case(entry: dict[str, Any]) -> Case:
    octets = bytes.fromhex(entry["hex"])
    accept = tuple(entry.get("accept", ()))
    return Case(entry["id"], entry["draft"], octets, entry.get("message", ""), entry.get("parse", ""), accept)


def decode(kind: str, octets: bytes) -> tuple[Message, int] | NeedData:
    """Decode a message of the kind."""
    if kind == "req":
        return wire.decode_request(octets)
    if kind == "auth":
        return wire.decode_authentication_reply(octets)
    if kind == "op":
        return wire.decode_operation_reply(octets)
    return (socks6.VersionMismatch(), 1) if octets == b"\6" else NEED_DATA


def encode(message: Message) -> bytes:
    """Encode any message."""
    if isinstance(message, socks6.Request):
        return wire.encode_request(message)
    if isinstance(message, socks6.AuthenticationReply):
        return wire.encode_authentication_reply(message)
    if isinstance(message, socks6.OperationReply):
        return wire.encode_operation_reply(message)
    return wire.encode_version_mismatch(message)


def outcome(case: Case) -> str:
    """What becomes of a `parse` case, in the file's words."""
    try:
        decoded = decode(case.parse, case.octets)
    except RemoteProtocolError:
        wrong_version = case.octets[0] != socks6.VERSION
        return "version-mismatch" if wrong_version else "malformed"
    return "need-more" if decoded is NEED_DATA else "ok"


def parse_message(text: str) -> Message:
    """The message that a line of the grammar describes."""
    kind, *words = text.removesuffix(PADDING_COUNTED).split()
    if kind == "req":
        command = Command[{"udp": "UDP_ASSOCIATE"}.get(words[0], words[0].upper())]
        return socks6.Request(command, _address(words[1]), int(words[2]), _options(words[3:]))
    if kind == "auth":
        return socks6.AuthenticationReply(socks6.AuthenticationType(int(words[0])), _options(words[1:]))
    if kind == "op":
        return socks6.OperationReply(ReplyCode(int(words[0])), _address(words[1]), int(words[2]), _options(words[3:]))
    return socks6.VersionMismatch()


def _address(word: str) -> Address:
    kind, host = word.split("=", 1)
    types = {"v4": AddressType.IPV4, "v6": AddressType.IPV6, "dn": AddressType.DOMAIN_NAME}
    return Address(types[kind], host)


def _options(words: list[str]) -> Options:
    return tuple(_option(*word.split(":")) for word in words)


def _option(name: str, *values: str) -> Option:
    if name in _STACK:
        return _STACK[name](stack.Leg(int(values[0])), *(int(value) for value in values[1:]))
    kind, body = _RAW[name]
    data = body(*values)
    return RawOption(kind, data + bytes(-len(data) % 4))


def _choice(kind: type[stack.Choice]) -> Callable[..., Option]:
    return lambda leg, value: kind(leg, value == 2)


def _user_password(user: str, password: str) -> bytes:
    return b"\2\1" + bytes((len(user),)) + user.encode() + bytes((len(password),)) + password.encode()


def _u32(*numbers: str) -> bytes:
    return b"".join(int(number).to_bytes(4, "big") for number in numbers)


_STACK: dict[str, Callable[..., Option]] = {
    "tos": stack.Tos,
    "ttl": stack.Ttl,
    "tfo": stack.FastOpen,
    "backlog": stack.ListenBacklog,
    "mp": _choice(stack.Multipath),
    "he": _choice(stack.HappyEyeballs),
    "df": _choice(stack.NoFragmentation),
    "udperr": _choice(stack.UdpError),
    "parity": lambda leg, parity, reserve: stack.PortParity(leg, stack.Parity(parity), bool(reserve)),
}
_RAW: dict[str, tuple[int, Callable[..., bytes]]] = {
    "adv": (2, lambda length, methods: int(length).to_bytes(2, "big") + bytes(map(int, methods.split(",")))),
    "sel": (3, lambda method: bytes((int(method),))),
    "up": (4, _user_password),
    "uprep": (4, lambda ok: b"\2\1" + bytes((int(ok) ^ 1,))),
    "sreq": (5, bytes),
    "sid": (6, bytes.fromhex),
    "sok": (8, bytes),
    "sinv": (9, bytes),
    "sdown": (10, bytes),
    "ireq": (11, _u32),
    "iwin": (12, _u32),
    "iexp": (13, _u32),
    "iacc": (14, bytes),
    "irej": (15, bytes),
}
