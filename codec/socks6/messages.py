"""The messages of SOCKSv6 that travel over TCP before the data (draft-11 "Requests" to "Operation Replies")."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from codec.address import ANY_IPV4, Address
from codec.command import Command
from codec.reply import ReplyCode
from codec.socks6.option_list import Options

VERSION = 6
"""The version octet of every message. Peers that follow a draft closely ship others, such as 0xcf or 0xd4."""


class AuthenticationType(IntEnum):
    """The type octet of an authentication reply."""

    SUCCESS = 0
    FAILURE = 1


@dataclass(frozen=True, slots=True)
class Request:
    """What a client wants: `command` is a plain int when it is unknown."""

    command: Command | int
    address: Address
    port: int
    options: Options = ()


@dataclass(frozen=True, slots=True)
class VersionMismatch:
    """The proxy's answer to a request of another version: one octet, its own version."""

    version: int = VERSION


@dataclass(frozen=True, slots=True)
class AuthenticationReply:
    """Whether the client is authenticated."""

    type: AuthenticationType
    options: Options = ()


@dataclass(frozen=True, slots=True)
class OperationReply:
    """How the operation went, and the address that the proxy bound for it (zeros after a failure)."""

    code: ReplyCode
    address: Address = ANY_IPV4
    port: int = 0
    options: Options = ()
