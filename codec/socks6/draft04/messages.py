"""The messages of draft-04. They differ from those of draft-11 in what stands beside the options."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from codec.address import ANY_IPV4, Address
from codec.command import Command
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.socks6.option_list import Options

VERSION = 6
"""The first octet, the major version; the second one, the minor version, is 0."""


class AuthenticationType(IntEnum):
    """The type octet of an authentication reply."""

    SUCCESS = 0
    MORE_NEEDED = 1
    """The method that the reply names must be used; `NONE_ACCEPTABLE`: the client gives up."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client wants: `command` is a plain int when it is unknown.

    Behind the request come `initial_data_size` octets of data, 0 to 65535, that are part of a CONNECT.
    """

    command: Command | int
    address: Address
    port: int
    initial_data_size: int = 0
    options: Options = ()


@dataclass(frozen=True, slots=True)
class VersionMismatch:
    """The proxy's answer to a request of another version: its own, in two octets."""

    version: int = VERSION


@dataclass(frozen=True, slots=True)
class AuthenticationReply:
    """Whether the client is authenticated, and the method that it was by, or must be."""

    type: AuthenticationType
    method: AuthenticationMethod | int = AuthenticationMethod.NONE
    options: Options = ()


@dataclass(frozen=True, slots=True)
class OperationReply:
    """How the operation went, how many octets of the initial data were taken, and the address that the proxy bound."""

    code: ReplyCode
    address: Address = ANY_IPV4
    port: int = 0
    initial_data_offset: int = 0
    options: Options = ()
