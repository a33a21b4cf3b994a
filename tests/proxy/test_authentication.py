"""With a users file nobody is served without a password: by RFC 1929 in SOCKS 5, in SOCKSv6 also inside the request.

Remote hosts are listening sockets that accept nobody by themselves, so that a test sees who has come, if anybody.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from codec import rfc1929, socks4, socks5
from codec.address import Address
from codec.client import Reply, Socks5Client, Socks6Client
from codec.command import Command
from codec.errors import NEED_DATA
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword
from codec.socks6 import dialect, messages
from codec.socks6.dialect import DRAFT_04, DRAFT_11, Dialect
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import options as options04
from codec.socks6.option import Option
from codec.socks6.option_list import Options, find_option
from codec.socks6.options import (
    AuthenticationMethodAdvertisement,
    SessionId,
    SessionInvalid,
    SessionOk,
    SessionRequest,
    SessionTeardown,
    UserPasswordData,
    UserPasswordResult,
)
from proxy.users import Hash
from tests.proxy.peers import connected_socket, listening_socket, receive_all, tunnel
from tests.proxy.running import LOOPBACK, PATIENCE, RunningProxy
from tests.proxy.users_file import users_file

ALICE = UserPassword(b"alice", b"correct horse")
WRONG = pytest.mark.parametrize(
    "wrong",
    [UserPassword(b"alice", b"battery staple"), UserPassword(b"mallory", b"correct horse")],
    ids=["password", "user"],
)
DATA = b"GET / HTTP/1.1\r\n\r\n"
TWO_READS = os.urandom(6000)
"""More than the proxy takes from the kernel at a time."""
SESSION_REQUESTS = 16
"""So many that both of two workers get some, but for once in 30 000 times."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A client of the proxy's listener for this draft."""

    listener: int
    dialect: Dialect
    data: type[UserPasswordData]
    result: type[UserPasswordResult]

    def address(self, proxy: RunningProxy) -> tuple[str, int]:
        host, _, port = proxy.addresses[self.listener].rpartition(":")
        return host, int(port)

    def said(self, credentials: UserPassword) -> UserPasswordData:
        """The option that holds them."""
        return self.data(credentials.user, credentials.password)

    def client(
        self,
        remote: socket.socket,
        *options: Option,
        offers: AuthenticationMethod | None = None,
        initial: int = 0,
        credentials: UserPassword | None = None,
    ) -> Socks6Client:
        """One that offers to negotiate a method behind its request and so many octets of initial data."""
        to = Command.CONNECT, Address.of("127.0.0.1"), remote.getsockname()[1]
        request: dialect.Request
        if self.dialect is DRAFT_04:
            offer: tuple[Option, ...] = () if offers is None else (options04.AuthenticationMethods((offers,)),)
            request = messages04.Request(*to, initial, (*offer, *options))
        else:
            offer = () if offers is None else (AuthenticationMethodAdvertisement(initial, (offers,)),)
            request = messages.Request(*to, (*offer, *options))
        return Socks6Client(request, credentials, self.dialect)


NEW = Draft(0, DRAFT_11, UserPasswordData, UserPasswordResult)
OLD = Draft(1, DRAFT_04, options04.UserPasswordData, options04.UserPasswordResult)
EITHER_DRAFT = pytest.mark.parametrize("draft", [NEW, OLD], ids=["draft-11", "draft-04"])


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    users = users_file(tmp_path_factory.mktemp("proxy"), {"alice": Hash.of(ALICE.password)})
    with RunningProxy(
        *("serve", "--workers", "2", *LOOPBACK),
        *("--set", 'listen=[{address="127.0.0.1:0"},{address="127.0.0.1:0",draft="04"}]'),
        *("--set", f'clients.users="{users}"', "--set", "clients.failures_per_minute=1000"),
    ) as running:
        yield running


@pytest.fixture
def remote() -> Iterator[socket.socket]:
    with listening_socket() as listener:
        yield listener


def received_by(remote: socket.socket) -> bytes:
    """All that one connection brings to the remote host. The client has sent its end."""
    remote.settimeout(PATIENCE)
    with remote.accept()[0] as connection:
        connection.settimeout(PATIENCE)
        return receive_all(connection)


def nobody_came_to(remote: socket.socket) -> bool:
    remote.setblocking(False)
    try:
        remote.accept()[0].close()
    except BlockingIOError:
        return True
    return False


def ended(proxy: RunningProxy, sock: socket.socket) -> tuple[str, str | None]:
    """Why the connection of this client ended, and the user that the log names."""
    line = proxy.connection(client=f"127.0.0.1:{sock.getsockname()[1]}")
    return line["end"], line.get("user")


# --- SOCKS 4 and 5 ---


def socks5_to(remote: socket.socket) -> socks5.Request:
    return socks5.Request(Command.CONNECT, Address.of("127.0.0.1"), remote.getsockname()[1])


def socks5_in_one_piece(remote: socket.socket, credentials: UserPassword) -> bytes:
    """All that a client sends that does not wait for any answer."""
    method = AuthenticationMethod.USER_PASSWORD
    greeting = socks5.encode_greeting(socks5.Greeting(bytes((method,))))
    return greeting + rfc1929.encode_user_password(credentials) + socks5.encode_request(socks5_to(remote)) + DATA


def test_socks5_is_served_with_the_right_password(proxy: RunningProxy, remote: socket.socket) -> None:
    with tunnel(proxy.address, Socks5Client(socks5_to(remote), ALICE)) as t:
        assert t.code is ReplyCode.SUCCEEDED
        t.socket.sendall(DATA)
        t.socket.shutdown(socket.SHUT_WR)
        assert received_by(remote) == DATA
        assert ended(proxy, t.socket) == ("closed", "alice")


def test_a_socks5_client_need_not_wait_for_answers(proxy: RunningProxy, remote: socket.socket) -> None:
    with connected_socket(proxy.address) as sock:
        sock.sendall(socks5_in_one_piece(remote, ALICE))
        sock.shutdown(socket.SHUT_WR)
        assert received_by(remote) == DATA
        assert receive_all(sock).hex().startswith("0502" + "0100" + "050000")


@WRONG
def test_socks5_with_anything_wrong_is_refused_alike(
    proxy: RunningProxy, remote: socket.socket, wrong: UserPassword
) -> None:
    with connected_socket(proxy.address) as sock:
        sock.sendall(socks5_in_one_piece(remote, wrong))
        assert receive_all(sock).hex() == "0502" + "0101"
        assert ended(proxy, sock) == ("wrong password", None)
    assert nobody_came_to(remote)


@pytest.mark.parametrize("methods", ["00", "01", "0001", ""], ids=["none", "gssapi", "both", "nothing"])
def test_socks5_without_a_common_method_is_told_so(proxy: RunningProxy, methods: str) -> None:
    with connected_socket(proxy.address) as sock:
        sock.sendall(socks5.encode_greeting(socks5.Greeting(bytes.fromhex(methods))))
        assert receive_all(sock).hex() == "05ff"
        assert ended(proxy, sock) == ("no acceptable authentication method", None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["socks4", "socks4a"])
def test_socks4_has_no_passwords_and_is_refused(proxy: RunningProxy, remote: socket.socket, host: str) -> None:
    request = socks4.Request(Command.CONNECT, Address.of(host), remote.getsockname()[1], b"alice")
    with connected_socket(proxy.address) as sock:
        sock.sendall(socks4.encode_request(request) + DATA)
        assert receive_all(sock).hex() == "005b" + 6 * "00"
        assert ended(proxy, sock) == ("refused: not allowed", None)
    assert nobody_came_to(remote)


# --- SOCKSv6, the password in the request ---


@EITHER_DRAFT
@pytest.mark.parametrize("data", [b"", DATA, TWO_READS], ids=len)
def test_a_password_in_the_request_costs_no_round_trip(
    proxy: RunningProxy, remote: socket.socket, draft: Draft, data: bytes
) -> None:
    client = draft.client(remote, draft.said(ALICE), initial=len(data))
    with connected_socket(draft.address(proxy)) as sock:
        sock.sendall(client.open() + data)
        verdict = client.receive(sock.recv(4096))
        reply = client.receive(b"")
        assert isinstance(verdict, messages.AuthenticationReply | messages04.AuthenticationReply)
        assert isinstance(reply, messages.OperationReply | messages04.OperationReply), "both come in one piece"
        assert draft.dialect.is_success(verdict)
        assert verdict.options == (draft.result(True),)
        if isinstance(verdict, messages04.AuthenticationReply):
            assert verdict.method is AuthenticationMethod.USER_PASSWORD, "that is what it was by"
        assert reply.code is ReplyCode.SUCCEEDED
        sock.shutdown(socket.SHUT_WR)
        assert received_by(remote) == data
        assert ended(proxy, sock) == ("closed", "alice")


@EITHER_DRAFT
@WRONG
def test_a_wrong_password_in_the_request_is_the_end(
    proxy: RunningProxy, remote: socket.socket, draft: Draft, wrong: UserPassword
) -> None:
    client = draft.client(remote, draft.said(wrong), initial=len(DATA))
    assert refusal_of(proxy, draft, client, DATA) == ((draft.result(False),), "wrong password")
    assert nobody_came_to(remote)


@EITHER_DRAFT
@pytest.mark.parametrize("offers", [None, AuthenticationMethod.GSSAPI], ids=["nothing", "gssapi"])
def test_who_offers_no_password_is_refused(
    proxy: RunningProxy, remote: socket.socket, draft: Draft, offers: AuthenticationMethod | None
) -> None:
    client = draft.client(remote, offers=offers, initial=len(DATA))
    assert refusal_of(proxy, draft, client, DATA) == ((), "not authenticated")
    assert nobody_came_to(remote)


def refusal_of(proxy: RunningProxy, draft: Draft, client: Socks6Client, behind: bytes) -> tuple[Options, str]:
    """The options of an authentication reply that is the last word to this client, and why as the log has it."""
    with connected_socket(draft.address(proxy)) as sock:
        sock.sendall(client.open() + behind)
        verdict = client.receive(receive_all(sock))
        assert isinstance(verdict, messages.AuthenticationReply | messages04.AuthenticationReply)
        assert not draft.dialect.is_success(verdict)
        assert draft.dialect.demanded(verdict) is None
        assert client.leftover() == b""
        end, user = ended(proxy, sock)
        assert user is None
        return verdict.options, end


# --- SOCKSv6, the password behind the request (RFC 1929) ---


def demanded(sock: socket.socket, client: Socks6Client) -> bytes:
    """What the client sends once the proxy has demanded the password."""
    while not (octets := client.outgoing()):
        data = sock.recv(4096)
        assert data
        assert client.receive(data) is NEED_DATA
    return octets


def replied(sock: socket.socket, client: Socks6Client) -> Reply:
    reply = client.receive_reply(b"")
    while reply is NEED_DATA:
        data = sock.recv(4096)
        assert data
        reply = client.receive_reply(data)
    return reply


@EITHER_DRAFT
@pytest.mark.parametrize("size", [0, 1, 16384])
@pytest.mark.parametrize("at_once", [True, False], ids=["at-once", "half-behind-the-demand"])
def test_initial_data_reach_the_remote_host_once_the_password_is_right(
    proxy: RunningProxy, remote: socket.socket, draft: Draft, size: int, *, at_once: bool
) -> None:
    data = os.urandom(size)
    first = data if at_once else data[: size // 2]
    client = draft.client(remote, offers=AuthenticationMethod.USER_PASSWORD, initial=size, credentials=ALICE)
    with connected_socket(draft.address(proxy)) as sock:
        sock.sendall(client.open() + first)
        credentials = demanded(sock, client)
        assert nobody_came_to(remote)
        sock.sendall(data[len(first) :] + credentials + DATA)
        assert replied(sock, client).code is ReplyCode.SUCCEEDED
        sock.shutdown(socket.SHUT_WR)
        assert received_by(remote) == data + DATA
        assert ended(proxy, sock) == ("closed", "alice")


@EITHER_DRAFT
@WRONG
def test_initial_data_go_nowhere_when_the_password_is_wrong(
    proxy: RunningProxy, remote: socket.socket, draft: Draft, wrong: UserPassword
) -> None:
    offer = AuthenticationMethod.USER_PASSWORD
    client = draft.client(remote, offers=offer, initial=len(DATA), credentials=wrong)
    with connected_socket(draft.address(proxy)) as sock:
        sock.sendall(client.open() + DATA)
        sock.sendall(demanded(sock, client))
        answer = receive_all(sock)
        assert answer[:2].hex() == "0101"
        verdict = client.receive(answer)
        assert isinstance(verdict, messages.AuthenticationReply | messages04.AuthenticationReply)
        assert not draft.dialect.is_success(verdict)
        assert draft.dialect.demanded(verdict) is None, "there is no second attempt"
        assert ended(proxy, sock) == ("wrong password", None)
    assert nobody_came_to(remote)


# --- Sessions ---


def verdict_on(proxy: RunningProxy, remote: socket.socket, *options: Option) -> tuple[Options, str | None]:
    """The options of the authentication reply to a request with DATA behind it; the user in the log."""
    client = NEW.client(remote, *options)
    with connected_socket(proxy.address) as sock:
        sock.sendall(client.open() + DATA)
        sock.shutdown(socket.SHUT_WR)
        verdict = client.receive(sock.recv(4096))
        assert isinstance(verdict, messages.AuthenticationReply)
        if NEW.dialect.is_success(verdict):
            assert received_by(remote) == DATA
        else:
            assert nobody_came_to(remote)
        return verdict.options, ended(proxy, sock)[1]


def session_with_password(proxy: RunningProxy, remote: socket.socket) -> SessionId:
    told, user = verdict_on(proxy, remote, SessionRequest(), NEW.said(ALICE))
    session = find_option(told, SessionId)
    assert session is not None
    assert (set(told), user) == ({NEW.result(True), session}, "alice")
    return session


def test_in_a_session_that_was_opened_with_a_password_none_is_needed(
    proxy: RunningProxy, remote: socket.socket
) -> None:
    session = session_with_password(proxy, remote)
    for _ in range(SESSION_REQUESTS):
        assert verdict_on(proxy, remote, session) == ((SessionOk(),), "alice")


@pytest.mark.parametrize(
    ("options", "told"),
    [((), ()), ((NEW.said(UserPassword(b"alice", b"battery staple")),), (NEW.result(False),))],
    ids=["none", "wrong"],
)
def test_no_session_is_opened_without_the_password(
    proxy: RunningProxy, remote: socket.socket, options: tuple[Option, ...], told: tuple[Option, ...]
) -> None:
    assert verdict_on(proxy, remote, SessionRequest(), *options) == (told, None)


def test_who_tears_a_session_down_is_outside_of_it_and_must_say_the_password(
    proxy: RunningProxy, remote: socket.socket
) -> None:
    session = session_with_password(proxy, remote)
    assert verdict_on(proxy, remote, session, SessionTeardown()) == ((), None)
    assert verdict_on(proxy, remote, session) == ((SessionInvalid(),), None)
    session = session_with_password(proxy, remote)
    assert verdict_on(proxy, remote, session, SessionTeardown(), NEW.said(ALICE)) == ((NEW.result(True),), "alice")
