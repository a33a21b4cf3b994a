"""Who broke the protocol: this program, or the peer."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, Literal, TypeAlias


class ProtocolError(Exception):
    """The base of both kinds; never raised itself."""


class LocalProtocolError(ProtocolError):
    """This program asked for something that cannot be sent, or not now."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what it must not. `reply` is what to send it before closing; empty when nothing fits."""

    def __init__(self, what: str, reply: bytes = b"") -> None:
        super().__init__(what)
        self.reply = reply


class VersionMismatchError(RemoteProtocolError):
    """The peer speaks another version, or another protocol."""


class Need(Enum):
    """What a decoder returns instead of a message."""

    DATA = auto()


NeedData: TypeAlias = Literal[Need.DATA]
NEED_DATA: Final = Need.DATA
"""The octets so far are a proper prefix of a message. A value, not an error: it is the normal case on a stream."""
