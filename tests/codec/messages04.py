"""Hypothesis strategies for every message of draft-04, with every option where it may stand."""

from __future__ import annotations

from hypothesis import strategies as st

from codec.command import COMMANDS, Command
from codec.reply import ReplyCode
from codec.socks6.draft04 import messages, options
from codec.socks6.option import RawOption
from codec.socks6.stack import Level
from tests.codec.messages import ADDRESS, METHOD, OCTET, PORT
from tests.codec.messages6 import LEG, TOKEN, WINDOW_SIZE, Strategy, lists_of

# Kind and length take 2 of an option's 255 octets, method and RFC 1929 another 4.
CREDENTIAL = st.binary(max_size=124)

UNKNOWN = st.builds(RawOption, st.one_of(st.just(0), st.integers(5, 255)), st.binary(max_size=253))
UNKNOWN_STACK: Strategy = st.builds(
    RawOption, st.just(options.OptionKind.STACK.value), st.binary(min_size=2, max_size=253)
).filter(lambda raw: raw.body[0] & 0x3F != Level.TCP or raw.body[1] not in options.STACK_OPTIONS)
UNKNOWN_IDEMPOTENCE = st.builds(
    RawOption, st.just(options.OptionKind.IDEMPOTENCE.value), st.binary(max_size=253)
).filter(lambda raw: raw.body[:1] == b"" or raw.body[0] not in options.IDEMPOTENCE_OPTIONS)
OTHER_AUTHENTICATION = st.builds(
    RawOption, st.just(options.OptionKind.AUTHENTICATION_DATA.value), st.binary(max_size=253)
).filter(lambda raw: raw.body[:1] > b"\x02")
RAW: tuple[Strategy, ...] = (UNKNOWN, UNKNOWN_STACK, UNKNOWN_IDEMPOTENCE, OTHER_AUTHENTICATION)

FAST_OPEN = st.builds(options.TcpFastOpen, LEG)
SCHEDULER = st.builds(options.MultipathScheduler, LEG, st.sampled_from(options.Scheduler))
WINDOW = st.builds(options.IdempotenceWindow, TOKEN, WINDOW_SIZE)
EXPENDED = st.builds(options.IdempotenceReply, st.sampled_from(options.Expenditure))

REQUEST_OPTIONS = lists_of(
    *RAW,
    FAST_OPEN,
    SCHEDULER,
    st.builds(options.AuthenticationMethods, st.lists(METHOD, max_size=253).map(tuple)),
    st.builds(options.UserPasswordData, CREDENTIAL, CREDENTIAL),
    st.builds(options.IdempotenceRequest, WINDOW_SIZE),
    st.builds(options.IdempotenceExpenditure, TOKEN),
)
AUTHENTICATION_OPTIONS = lists_of(*RAW, WINDOW, EXPENDED, st.builds(options.UserPasswordResult, st.booleans()))
OPERATION_OPTIONS = lists_of(
    UNKNOWN,
    UNKNOWN_STACK,
    UNKNOWN_IDEMPOTENCE,
    FAST_OPEN,
    SCHEDULER,
    st.builds(options.Multipath, LEG),
    WINDOW,
    EXPENDED,
)

COMMAND_BUT_CONNECT: st.SearchStrategy[Command | int] = OCTET.filter(lambda octet: octet != Command.CONNECT).map(
    lambda octet: COMMANDS.get(octet, octet)
)
REQUEST = st.one_of(
    st.builds(messages.Request, st.just(Command.CONNECT), ADDRESS, PORT, PORT, REQUEST_OPTIONS),
    st.builds(messages.Request, COMMAND_BUT_CONNECT, ADDRESS, PORT, st.just(0), REQUEST_OPTIONS),
)
VERSION_MISMATCH = st.builds(messages.VersionMismatch)
AUTHENTICATION_REPLY = st.builds(
    messages.AuthenticationReply, st.sampled_from(messages.AuthenticationType), METHOD, AUTHENTICATION_OPTIONS
)
OPERATION_REPLY = st.builds(messages.OperationReply, st.sampled_from(ReplyCode), ADDRESS, PORT, PORT, OPERATION_OPTIONS)
