"""What the state machines need of a draft: one interface, and the two drafts behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeAlias

from codec.address import Address
from codec.command import Command
from codec.errors import LocalProtocolError, NeedData
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.socks6 import messages, wire
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import wire as wire04
from codec.socks6.draft04.option_list import Walk
from codec.socks6.option_list import Options, find_option
from codec.socks6.options import AuthenticationMethodAdvertisement, AuthenticationMethodSelection

Request: TypeAlias = messages.Request | messages04.Request
AuthenticationReply: TypeAlias = messages.AuthenticationReply | messages04.AuthenticationReply
OperationReply: TypeAlias = messages.OperationReply | messages04.OperationReply
Data: TypeAlias = bytes | bytearray


class Dialect(ABC):
    """A draft, and the version octet that its peers send."""

    __slots__ = ("authenticated", "version")
    udp_messages: ClassVar[bool] = True
    """Whether the messages of a UDP association also travel over its TCP connection."""

    def __init__(self, version: int = messages.VERSION) -> None:
        self.version = version
        self.authenticated = self.authentication(True)
        """The authentication reply that most clients get, ready to be sent."""

    @abstractmethod
    def encode_request(self, request: Request) -> bytes:
        """The request on the wire. `LocalProtocolError` for one of another draft."""

    def begin_message(self) -> Walk | None:
        """What the decoders want kept while one message trickles in, if anything."""
        return None

    @abstractmethod
    def decode_request(self, data: Data, walk: Walk | None) -> tuple[Request, int] | NeedData:
        """The request at the start of `data`, and where it ends. `walk` is what `begin_message` gave."""

    @abstractmethod
    def initial_data_length(self, request: Request) -> int:
        """How many octets of data stand between the request and the negotiation of a method."""

    @abstractmethod
    def version_mismatch(self) -> bytes:
        """The answer to a request of another version."""

    @abstractmethod
    def authentication(self, success: bool, options: Options = (), *, by_password: bool = False) -> bytes:
        """An authentication reply after which no method is negotiated; `by_password`: it judges a name and password."""

    @abstractmethod
    def demand(self, method: AuthenticationMethod) -> bytes:
        """The authentication reply that makes the client negotiate, or give up."""

    @abstractmethod
    def operation(self, code: ReplyCode, address: Address, port: int, options: Options, taken: int) -> bytes:
        """An operation reply; `taken` octets of initial data are the proxy's now."""

    @abstractmethod
    def decode_authentication(self, data: Data, walk: Walk | None) -> tuple[AuthenticationReply, int] | NeedData:
        """The authentication reply at the start of `data`, and where it ends."""

    @abstractmethod
    def demanded(self, reply: AuthenticationReply) -> AuthenticationMethod | int | None:
        """The method that the proxy wants negotiated; None when the reply is the last one."""

    def is_success(self, reply: AuthenticationReply) -> bool:
        """Whether the client is authenticated."""
        return reply.type == messages.AuthenticationType.SUCCESS

    @abstractmethod
    def decode_operation(self, data: Data, walk: Walk | None) -> tuple[OperationReply, int] | NeedData:
        """The operation reply at the start of `data`, and where it ends."""


class Draft11(Dialect):
    """draft-olteanu-intarea-socks-6-11."""

    __slots__ = ()

    def encode_request(self, request: Request) -> bytes:
        if not isinstance(request, messages.Request):
            raise LocalProtocolError("a request of draft-04")
        return wire.encode_request(request, self.version)

    def decode_request(self, data: Data, _walk: Walk | None) -> tuple[messages.Request, int] | NeedData:
        return wire.decode_request(data, self.version)

    def initial_data_length(self, request: Request) -> int:
        if not request.options:
            return 0
        advertisement = find_option(request.options, AuthenticationMethodAdvertisement)
        # Only a CONNECT has data to send at once: with other commands the number means nothing.
        return advertisement.initial_data_length if advertisement and request.command is Command.CONNECT else 0

    def version_mismatch(self) -> bytes:
        return wire.encode_version_mismatch(messages.VersionMismatch(self.version))

    def authentication(self, success: bool, options: Options = (), *, by_password: bool = False) -> bytes:  # noqa: ARG002
        kind = messages.AuthenticationType.SUCCESS if success else messages.AuthenticationType.FAILURE
        return wire.encode_authentication_reply(messages.AuthenticationReply(kind, options), self.version)

    def demand(self, method: AuthenticationMethod) -> bytes:
        return self.authentication(False, (AuthenticationMethodSelection(method),))

    def operation(self, code: ReplyCode, address: Address, port: int, options: Options, taken: int) -> bytes:  # noqa: ARG002
        return wire.encode_operation(code, address, port, options, self.version)

    def decode_authentication(
        self, data: Data, _walk: Walk | None
    ) -> tuple[messages.AuthenticationReply, int] | NeedData:
        return wire.decode_authentication_reply(data, self.version)

    def demanded(self, reply: AuthenticationReply) -> AuthenticationMethod | int | None:
        selection = find_option(reply.options, AuthenticationMethodSelection)
        failed = reply.type == messages.AuthenticationType.FAILURE
        return selection.method if failed and selection is not None else None

    def decode_operation(self, data: Data, _walk: Walk | None) -> tuple[messages.OperationReply, int] | NeedData:
        return wire.decode_operation_reply(data, self.version)


class Draft04(Dialect):
    """draft-olteanu-intarea-socks-6-04. Its UDP associations are those of SOCKS 5."""

    __slots__ = ()
    udp_messages = False

    def begin_message(self) -> Walk | None:
        return Walk()

    def encode_request(self, request: Request) -> bytes:
        if not isinstance(request, messages04.Request):
            raise LocalProtocolError("a request of draft-11")
        return wire04.encode_request(request, self.version)

    def decode_request(self, data: Data, walk: Walk | None) -> tuple[messages04.Request, int] | NeedData:
        return wire04.decode_request(data, self.version, walk=walk)

    def initial_data_length(self, request: Request) -> int:
        return request.initial_data_size if isinstance(request, messages04.Request) else 0

    def version_mismatch(self) -> bytes:
        return wire04.encode_version_mismatch(messages04.VersionMismatch(self.version))

    def authentication(self, success: bool, options: Options = (), *, by_password: bool = False) -> bytes:
        kind, method = messages04.AuthenticationType.MORE_NEEDED, AuthenticationMethod.NONE_ACCEPTABLE
        if success:
            kind = messages04.AuthenticationType.SUCCESS
            method = AuthenticationMethod.USER_PASSWORD if by_password else AuthenticationMethod.NONE
        return wire04.encode_authentication_reply(messages04.AuthenticationReply(kind, method, options), self.version)

    def demand(self, method: AuthenticationMethod) -> bytes:
        reply = messages04.AuthenticationReply(messages04.AuthenticationType.MORE_NEEDED, method)
        return wire04.encode_authentication_reply(reply, self.version)

    def operation(self, code: ReplyCode, address: Address, port: int, options: Options, taken: int) -> bytes:
        return wire04.encode_operation_reply(messages04.OperationReply(code, address, port, taken, options))

    def decode_authentication(
        self, data: Data, walk: Walk | None
    ) -> tuple[messages04.AuthenticationReply, int] | NeedData:
        return wire04.decode_authentication_reply(data, self.version, walk=walk)

    def demanded(self, reply: AuthenticationReply) -> AuthenticationMethod | int | None:
        if isinstance(reply, messages04.AuthenticationReply) and not self.is_success(reply):
            return None if reply.method == AuthenticationMethod.NONE_ACCEPTABLE else reply.method
        return None

    def decode_operation(self, data: Data, walk: Walk | None) -> tuple[messages04.OperationReply, int] | NeedData:
        return wire04.decode_operation_reply(data, walk=walk)


DRAFT_11 = Draft11()
DRAFT_04 = Draft04()
Dialects: TypeAlias = Mapping[int, Dialect]
DEFAULT_DIALECTS: Dialects = {DRAFT_11.version: DRAFT_11}
"""By version octet: what a listener takes."""
