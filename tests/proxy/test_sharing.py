"""Sessions and tokens: each is kept by one worker, and clients of all workers use it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest

from codec.address import Address
from codec.client import Socks6Client
from codec.command import Command
from codec.errors import NEED_DATA
from codec.reply import ReplyCode
from codec.socks6 import messages
from codec.socks6.option import Option
from codec.socks6.option_list import Options, find_option
from codec.socks6.options import (
    IdempotenceAccepted,
    IdempotenceExpenditure,
    IdempotenceRejected,
    IdempotenceRequest,
    IdempotenceWindow,
    SessionId,
    SessionInvalid,
    SessionOk,
    SessionRequest,
    SessionTeardown,
)
from codec.socks6.sessions import Session, SessionTable
from proxy.gate import NoSuchSessionError, admit, session_of
from proxy.options import Tls
from tests.proxy.peers import carry_unevenly, connected_socket, echo, reset, serving
from tests.proxy.running import LOOPBACK, PATIENCE, RunningProxy
from tests.proxy.tls_client import TlsClient, certify
from tests.proxy.waiting import eventually

pytestmark = pytest.mark.slow

OCTETS = 1 << 17
CONNECTIONS = 24
"""So many that both of two workers get some, but for once in eight million times."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a proxy said to a request, and the connection that it said it on."""

    stream: Any
    """A socket or a `TlsClient`."""
    options: Options
    """Of the authentication reply."""
    code: ReplyCode | None
    """Of the operation reply; None if there was none."""
    early: bytes
    """What had come behind it."""

    def receives(self, octets: bytes) -> bool:
        received = self.early
        while len(received) < len(octets) and (piece := self.stream.recv(len(octets) - len(received))):
            received += piece
        return received == octets

    def echoes_unevenly(self, octets: int, seed: int) -> None:
        """What goes to the echo server comes back whole."""
        carry_unevenly(self.stream, self.stream, octets, seed)


class Asker:
    """Asks a proxy for connections to a port of this host."""

    def __init__(self, proxy: RunningProxy, tls: Tls | None, port: int) -> None:
        self.proxy = proxy
        self._tls = tls
        self._port = port

    @contextmanager
    def ask(self, *options: Option, behind: bytes = b"") -> Iterator[Answer]:
        """`behind` is sent along with the request."""
        client = Socks6Client(messages.Request(Command.CONNECT, Address.of("127.0.0.1"), self._port, options))
        with connected_socket(self.proxy.address) as sock:
            stream = TlsClient(sock, self._tls.certificate) if self._tls else sock
            stream.sendall(client.open() + behind)
            said: list[Any] = []
            event = client.receive(stream.recv(4096))
            while True:
                if event is NEED_DATA:
                    event = client.receive(stream.recv(4096))
                    continue
                said.append(event)
                if isinstance(event, messages.OperationReply) or said[0].type != 0:
                    break
                event = client.receive(b"")
            yield Answer(stream, said[0].options, said[1].code if len(said) > 1 else None, client.leftover())

    def begin(self, *options: Option) -> tuple[SessionId, Options]:
        """Begin a session; how to name it, and all that was told of it."""
        with self.ask(SessionRequest(), *options) as answer:
            session = find_option(answer.options, SessionId)
            assert session is not None
            return session, answer.options


@pytest.fixture(scope="module", params=["tcp", "tls"])
def asker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """A proxy with two workers, which hand connections to each other with or without TLS."""
    tls = certify(tmp_path_factory.mktemp("tls")) if request.param == "tls" else None
    arguments = ["--set", f'listen=[{{address="127.0.0.1:0",tls={"true" if tls else "false"}}}]']
    if tls:
        arguments += ["--set", f'tls={{certificate="{tls.certificate}",key="{tls.key}"}}']
    with serving(echo) as port, RunningProxy("serve", "--workers", "2", *LOOPBACK, *arguments) as proxy:
        yield Asker(proxy, tls, port)


def test_a_session_is_known_to_all_workers(asker: Asker) -> None:
    session, _ = asker.begin()
    for number in range(CONNECTIONS):
        early = b"early data" * (number % 2)
        with asker.ask(session, behind=early) as answer:
            assert answer.code is ReplyCode.SUCCEEDED
            assert SessionOk() in answer.options
            assert answer.receives(early)
            answer.echoes_unevenly(OCTETS, seed=number)


def test_a_token_is_honoured_once_whoever_asks_at_the_same_moment(asker: Asker) -> None:
    session, told = asker.begin(IdempotenceRequest(64))
    window = find_option(told, IdempotenceWindow)
    assert window is not None
    together = Barrier(CONNECTIONS)

    def spend(token: int) -> tuple[bool, bool, bool]:
        together.wait(PATIENCE)
        with asker.ask(session, IdempotenceExpenditure(token)) as answer:
            return (
                answer.code is ReplyCode.SUCCEEDED,
                IdempotenceAccepted() in answer.options,
                IdempotenceRejected() in answer.options,
            )

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for token in range(window.base, window.base + 4):
            told_all = sorted(pool.map(spend, [token] * CONNECTIONS))
            assert told_all == [(False, False, True)] * (CONNECTIONS - 1) + [(True, True, False)]


def test_the_worker_that_has_the_session_tells_the_end(asker: Asker) -> None:
    session, _ = asker.begin()
    for _ in range(CONNECTIONS // 2):
        with asker.ask(session) as answer:
            answer.echoes_unevenly(OCTETS, seed=1)
            local = answer.stream.getsockname()
            if isinstance(answer.stream, TlsClient):
                answer.stream.end()
        line = asker.proxy.connection(client=f"127.0.0.1:{local[1]}")
        assert (line["up"], line["down"], line["end"]) == (OCTETS, OCTETS, "closed")


def test_a_reset_reaches_whoever_has_the_session(asker: Asker) -> None:
    session, _ = asker.begin()
    for _ in range(CONNECTIONS // 2):
        with asker.ask(session) as answer:
            answer.echoes_unevenly(OCTETS, seed=2)
            local = answer.stream.getsockname()
            reset(answer.stream.socket if isinstance(answer.stream, TlsClient) else answer.stream)
        assert asker.proxy.connection(client=f"127.0.0.1:{local[1]}")["end"] == "client reset"


def test_a_session_that_there_is_not_is_refused_by_any_worker(asker: Asker) -> None:
    for owner in range(4):
        for _ in range(CONNECTIONS // 4):
            with asker.ask(SessionId(bytes((owner,)) + bytes(15))) as answer:
                assert answer.options == (SessionInvalid(),)
                assert answer.code is None


def test_a_session_that_is_torn_down_is_gone(asker: Asker) -> None:
    session, _ = asker.begin()
    with asker.ask(session, SessionTeardown()) as answer:
        assert answer.code is ReplyCode.SUCCEEDED
    with asker.ask(session) as answer:
        assert answer.options == (SessionInvalid(),)


def test_a_client_whose_session_is_with_a_worker_that_stops_is_turned_away(echo_port: int) -> None:
    """It is draining, and takes nobody any more; the others may not know that yet."""
    with RunningProxy("serve", "--listen", "127.0.0.1:0", "--workers", "2", *LOOPBACK) as proxy:
        asker = Asker(proxy, None, echo_port)
        session, _ = asker.begin()
        owner = session.id[0]
        with asker.ask(session) as held:
            os.kill(proxy.workers[owner], signal.SIGTERM)
            assert eventually(lambda: is_turned_away(asker, session))
            assert proxy.connection(end="proxy stopped")["protocol"] == "unknown"
            held.echoes_unevenly(OCTETS, seed=3)


def is_turned_away(asker: Asker, session: SessionId) -> bool:
    """Whether the proxy closes the connection without an answer."""
    client = Socks6Client(messages.Request(Command.CONNECT, Address.of("127.0.0.1"), 1, (session,)))
    with connected_socket(asker.proxy.address) as sock:
        sock.sendall(client.open())
        sock.settimeout(0.3)
        try:
            return not sock.recv(1)
        except TimeoutError:  # it waits for the worker's successor
            return False


# --- What a request says of sessions and tokens ---


@pytest.fixture
def table() -> SessionTable:
    return SessionTable()


def opened(table: SessionTable, *options: Option) -> tuple[Session, Options]:
    admission = admit((SessionRequest(), *options), None, "alice", table, 0.0)
    assert admission.session is not None
    assert admission.success
    return admission.session, admission.options


def test_without_options_there_is_nothing_to_say(table: SessionTable) -> None:
    admission = admit((), None, None, table, 0.0)
    assert (admission.success, admission.options, admission.session) == (True, (), None)


def test_tokens_without_a_session_are_not_spoken_of(table: SessionTable) -> None:
    admission = admit((IdempotenceRequest(8), IdempotenceExpenditure(1)), None, None, table, 0.0)
    assert (admission.success, admission.options) == (True, ())


def test_a_session_belongs_to_who_began_it(table: SessionTable) -> None:
    session, told = opened(table)
    assert session.principal == "alice"
    assert told == (SessionId(session.id),)
    assert session_of((SessionId(session.id),), table, 1.0) is session
    assert admit((SessionId(session.id),), session, "alice", table, 1.0).options == (SessionOk(),)


def test_no_session_is_begun_within_another(table: SessionTable) -> None:
    session, _ = opened(table)
    admission = admit((SessionId(session.id), SessionRequest()), session, "alice", table, 1.0)
    assert admission.options == (SessionOk(),)
    assert len(table) == 1


def test_where_no_session_can_be_had_nothing_is_said() -> None:
    full = SessionTable()
    while full.open(None, 0.0) is not None:
        pass
    admission = admit((SessionRequest(),), None, None, full, 0.0)
    assert (admission.success, admission.options, admission.session) == (True, (), None)


def test_an_unknown_session_is_refused(table: SessionTable) -> None:
    with pytest.raises(NoSuchSessionError) as caught:
        session_of((SessionId(bytes(16)),), table, 0.0)
    assert caught.value.refusal == (SessionInvalid(),)
    assert session_of((), table, 0.0) is None


def test_who_tears_a_session_down_is_outside_of_it(table: SessionTable) -> None:
    session, _ = opened(table)
    assert session_of((SessionId(session.id), SessionTeardown()), table, 1.0) is None
    with pytest.raises(NoSuchSessionError):
        session_of((SessionId(session.id),), table, 1.0)


def test_the_window_is_told_in_every_reply(table: SessionTable) -> None:
    session, told = opened(table, IdempotenceRequest(8))
    window = find_option(told, IdempotenceWindow)
    assert window is not None
    assert window.size == 8
    later = admit((), session, "alice", table, 1.0)
    assert later.options == (SessionOk(), window)


def test_a_token_can_be_spent_in_the_request_that_begins_the_session(table: SessionTable) -> None:
    session, told = opened(table, IdempotenceRequest(8))
    window = find_option(told, IdempotenceWindow)
    assert window is not None
    spend = (IdempotenceExpenditure(window.base + 1),)
    first = admit(spend, session, "alice", table, 1.0)
    assert (first.success, first.options) == (True, (SessionOk(), IdempotenceAccepted(), window))
    again = admit(spend, session, "alice", table, 2.0)
    assert (again.success, again.options) == (False, (SessionOk(), IdempotenceRejected(), window))
