"""The proxy's sessions: found by their ID, bounded in number and memory, ended when idle."""

from __future__ import annotations

import tracemalloc
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import LocalProtocolError
from codec.socks6.sessions import ID_LENGTH, Limits, Session, SessionTable
from codec.socks6.tokens import LARGEST_WINDOW


def opened(table: SessionTable, principal: str | None = "alice", now: float = 0.0) -> Session:
    session = table.open(principal, now)
    assert session is not None
    return session


def test_a_session_is_found_by_its_id_and_knows_its_principal() -> None:
    table = SessionTable()
    alice, nobody = opened(table), opened(table, None)
    assert table.find(alice.id, 1.0) is alice
    assert table.find(nobody.id, 1.0) is nobody
    assert (alice.principal, nobody.principal) == ("alice", None)


def test_ids_are_drawn_at_random_and_fit_their_option() -> None:
    ids = {opened(SessionTable()).id for _ in range(100)}
    assert len(ids) == 100
    assert {len(drawn) for drawn in ids} == {ID_LENGTH}
    assert ID_LENGTH % 4 == 0


@pytest.mark.parametrize("unknown", [b"", b"\0" * ID_LENGTH, b"\0" * 16380])
def test_an_unknown_id_finds_nothing(unknown: bytes) -> None:
    table = SessionTable()
    opened(table)
    assert table.find(unknown, 1.0) is None
    assert table.tear_down(unknown, 1.0) is None
    assert len(table) == 1


def test_the_id_is_not_shown() -> None:
    session = opened(SessionTable(new_id=lambda: b"SECRETID"))
    assert "SECRET" not in repr(session)
    assert "alice" in repr(session)


@pytest.mark.parametrize("bad", [b"", b"123", b"12345"])
def test_an_id_that_no_option_can_hold_is_not_given_out(bad: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        SessionTable(new_id=lambda: bad).open("alice", 0.0)


def test_an_id_is_not_given_out_twice() -> None:
    table = SessionTable(new_id=lambda: b"same")
    session = opened(table)
    with pytest.raises(LocalProtocolError):
        table.open("mallory", 0.0)
    assert table.find(b"same", 0.0) is session


def test_a_session_that_is_torn_down_is_gone() -> None:
    table = SessionTable()
    session = opened(table)
    assert table.tear_down(session.id, 1.0) is session
    assert table.find(session.id, 1.0) is None
    assert table.tear_down(session.id, 1.0) is None


def test_an_idle_session_expires_and_a_used_one_does_not() -> None:
    table = SessionTable(Limits(idle=10.0))
    used, idle = opened(table, now=0.0), opened(table, now=0.0)
    assert table.find(used.id, 10.0) is used
    assert table.find(idle.id, 10.5) is None
    assert table.find(used.id, 20.0) is used
    assert table.tear_down(used.id, 30.5) is None
    assert len(table) == 0


def test_expiry_alone_frees_the_memory_of_idle_sessions() -> None:
    table = SessionTable(Limits(idle=10.0))
    for now in range(5):
        opened(table, now=float(now))
    table.expire(12.0)
    assert len(table) == 3
    table.expire(1000.0)
    assert len(table) == 0


def test_a_full_table_refuses_new_sessions_and_keeps_the_live_ones() -> None:
    table = SessionTable(Limits(sessions=2, idle=10.0))
    first, _ = opened(table, None), opened(table, None)
    assert table.open("alice", 9.0) is None
    assert table.find(first.id, 9.0) is first
    assert table.open("alice", 11.0) is not None, "the second has expired"


def test_one_user_cannot_take_all_sessions() -> None:
    table = SessionTable(Limits(sessions_per_user=2))
    first, _ = opened(table), opened(table)
    assert table.open("alice", 0.0) is None
    assert table.open("bob", 0.0) is not None
    table.tear_down(first.id, 0.0)
    assert table.open("alice", 0.0) is not None
    assert table.open("alice", 0.0) is None


def test_users_whose_sessions_have_ended_leave_nothing_behind() -> None:
    table = SessionTable(Limits(idle=10.0))
    tracemalloc.start()
    try:
        for number in range(500):
            assert table.open(f"{number:01000}", float(100 * number)) is not None
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table) == 1
    assert kept < 100_000


def test_clients_without_a_name_are_not_one_user() -> None:
    table = SessionTable(Limits(sessions_per_user=1))
    assert opened(table, None) is not opened(table, None)


def test_a_session_has_one_window_that_is_never_replaced() -> None:
    session = opened(SessionTable())
    assert session.bank is None
    bank = session.grant(100)
    assert bank.size == 100
    assert bank.spend(bank.base)
    assert session.grant(200) is bank
    assert session.bank is bank


def test_no_window_is_larger_than_the_limit() -> None:
    session = opened(SessionTable(Limits(largest_window=50)))
    assert session.grant(LARGEST_WINDOW).size == 50


def test_windows_start_at_different_tokens() -> None:
    table = SessionTable()
    assert len({opened(table, None).grant(8).base for _ in range(50)}) > 40


def test_a_window_without_tokens_is_not_granted() -> None:
    session = opened(SessionTable())
    with pytest.raises(LocalProtocolError):
        session.grant(0)
    assert session.bank is None


@pytest.mark.parametrize("size", [0, LARGEST_WINDOW + 1])
def test_a_limit_that_no_window_can_have_is_refused(size: int) -> None:
    with pytest.raises(LocalProtocolError):
        Limits(largest_window=size)


@given(st.lists(st.tuples(st.sampled_from(["open", "find", "tear down"]), st.integers(0, 7), st.integers(0, 4))))
def test_a_table_follows_a_plain_model(steps: list[tuple[str, int, int]]) -> None:
    """The model: the last use of every session, all of them looked at in every step."""
    numbers = count()
    table = SessionTable(Limits(sessions=5, sessions_per_user=2, idle=6.0), lambda: next(numbers).to_bytes(4, "big"))
    used: dict[bytes, tuple[str, int]] = {}
    now = 0
    for action, which, pause in steps:
        now += pause
        used = {key: (user, last) for key, (user, last) in used.items() if now - last <= 6}
        user, key = "abc"[which % 3], which.to_bytes(4, "big")
        if action == "open":
            room = len(used) < 5 and [name for name, _ in used.values()].count(user) < 2
            session = table.open(user, float(now))
            assert (session is not None) == room
            used |= {session.id: (user, now)} if session else {}
        elif action == "find":
            assert (table.find(key, float(now)) is not None) == (key in used)
            used |= {key: (used[key][0], now)} if key in used else {}
        else:
            assert (table.tear_down(key, float(now)) is not None) == (used.pop(key, None) is not None)
        assert len(table) == len(used)
