"""What a SOCKSv6 request says of sessions and tokens (draft-11 "Sessions", "Idempotence options"), and the answer.

Pure but for the session table, so that both can be tested without a socket.
"""

from __future__ import annotations

from dataclasses import dataclass

from codec.socks6.draft04 import options as draft04
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


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether the request is to be honoured, and the options that say so in the authentication reply."""

    success: bool
    options: Options
    session: Session | None = None


class NoSuchSessionError(Exception):
    """The request names a session that there is not: `refusal` answers it, finally."""

    refusal: Options = (SessionInvalid(),)


def session_of(options: Options, table: SessionTable, now: float) -> Session | None:
    """The session that a request belongs to; whoever is in one need not authenticate. Raises NoSuchSessionError.

    A request that tears a session down is outside of it.
    """
    named = find_option(options, SessionId)
    if named is None:
        return None
    teardown = find_option(options, SessionTeardown) is not None
    session = table.tear_down(named.id, now) if teardown else table.find(named.id, now)
    if session is None:
        raise NoSuchSessionError
    return None if teardown else session


def admit(options: Options, session: Session | None, user: str | None, table: SessionTable, now: float) -> Admission:
    """Begin a session where one is wished for, grant a window, spend a token: in that order, all in this request.

    `session` is the one that the request belongs to, `user` who sends it. What cannot be had is not spoken of, as the
    draft demands; only a token that cannot be spent is a refusal.
    """
    answers: list[Option] = []
    if session is not None:
        answers.append(SessionOk())
    elif find_option(options, SessionRequest) is not None and find_option(options, SessionId) is None:
        session = table.open(user, now)
        if session is not None:
            answers.append(SessionId(session.id))
    if session is None:
        return Admission(True, tuple(answers))
    if (request := find_option(options, IdempotenceRequest)) is not None:
        session.grant(request.size)
    if session.bank is None:
        return Admission(True, tuple(answers), session)
    spent = True
    if (expenditure := find_option(options, IdempotenceExpenditure)) is not None:
        spent = session.bank.spend(expenditure.token)
        answers.append(IdempotenceAccepted() if spent else IdempotenceRejected())
    # In every later reply of the session, a rejection included: the client must learn where the window is now.
    answers.append(IdempotenceWindow(session.bank.base, session.bank.size))
    return Admission(spent, tuple(answers), session)


def without_window(options: Options) -> Options:
    """What the authentication reply says to a client of draft-04 that spends a token: there is no window. Else nothing.

    In that draft tokens belong to a user, whom each worker would have to keep a window for; none is issued here. A
    request that spends one must fail then (draft-04 "Idempotence options"): it may have been honoured before.
    """
    if find_option(options, draft04.IdempotenceExpenditure) is None:
        return ()
    return (draft04.IdempotenceReply(draft04.Expenditure.NO_WINDOW),)
