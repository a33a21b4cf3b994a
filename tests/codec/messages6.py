"""Hypothesis strategies for every message of SOCKSv6 draft-11, with every option where it may stand."""

from __future__ import annotations

from collections.abc import Hashable

from hypothesis import strategies as st

from codec.address import Address, AddressType
from codec.command import COMMANDS, Command
from codec.reply import ReplyCode
from codec.socks6 import messages, options, stack, udp
from codec.socks6.option import Option, OptionKind, RawOption
from codec.socks6.option_list import Options
from tests.codec.messages import ADDRESS, IPV4, IPV6, METHOD, OCTET, PORT

AnyOption = Option | RawOption
Strategy = st.SearchStrategy[AnyOption]

TOKEN = st.integers(0, 2**32 - 1)
WINDOW_SIZE = st.integers(1, options.LARGEST_WINDOW)
REMOTE = st.just(stack.Leg.PROXY_REMOTE)
LEG = st.sampled_from(stack.Leg)


def bodies(most: int) -> st.SearchStrategy[bytes]:
    """Any body of up to `most` times 4 octets."""
    return st.integers(0, most).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words))


def lists_of(*members: Strategy) -> st.SearchStrategy[Options]:
    """Up to six options that do not contradict each other."""
    return st.lists(st.one_of(*members), max_size=6, unique_by=_about).map(tuple)


def _about(option: AnyOption) -> Hashable:
    return option if isinstance(option, RawOption) else type(option)


STACK_OPTIONS: tuple[Strategy, ...] = (
    st.builds(stack.Tos, LEG, OCTET),
    st.builds(stack.HappyEyeballs, REMOTE, st.booleans()),
    st.builds(stack.Ttl, LEG, OCTET),
    st.builds(stack.NoFragmentation, LEG, st.booleans()),
    st.builds(stack.TcpFastOpen, REMOTE, PORT),
    st.builds(stack.Multipath, REMOTE, st.booleans()),
    st.builds(stack.ListenBacklog, REMOTE, PORT),
    st.builds(stack.UdpError, REMOTE, st.booleans()),
    st.builds(stack.PortParity, REMOTE, st.sampled_from(stack.Parity), st.booleans()),
)
STACK = st.one_of(*STACK_OPTIONS)
UNKNOWN_STACK = st.builds(RawOption, st.just(OptionKind.STACK.value), st.binary(min_size=4, max_size=4)).filter(
    lambda raw: (raw.body[0] & 0x3F, raw.body[1]) not in stack.STACK_OPTIONS
)
UNKNOWN = st.builds(RawOption, st.one_of(st.sampled_from((0, 7)), st.integers(16, 0xFFFF)), bodies(8))
OTHER_AUTHENTICATION = st.builds(
    RawOption, st.just(OptionKind.AUTHENTICATION_DATA.value), bodies(8).filter(lambda body: body[:1] > b"\x02")
)
# A method 0 at the end cannot be told from padding.
ADVERTISED = st.lists(METHOD, max_size=16).map(tuple).filter(lambda methods: methods[-1:] != (0,))
SESSION_ID = st.builds(options.SessionId, bodies(8).filter(bool))

REQUEST_OPTIONS = lists_of(
    STACK,
    UNKNOWN_STACK,
    UNKNOWN,
    OTHER_AUTHENTICATION,
    SESSION_ID,
    st.builds(options.AuthenticationMethodAdvertisement, st.integers(0, options.LARGEST_INITIAL_DATA), ADVERTISED),
    st.builds(options.UserPasswordData, st.binary(max_size=255), st.binary(max_size=255)),
    st.builds(options.SessionRequest),
    st.builds(options.SessionTeardown),
    st.builds(options.IdempotenceRequest, WINDOW_SIZE),
    st.builds(options.IdempotenceExpenditure, TOKEN),
)
AUTHENTICATION_OPTIONS = lists_of(
    UNKNOWN,
    OTHER_AUTHENTICATION,
    SESSION_ID,
    st.builds(options.AuthenticationMethodSelection, METHOD),
    st.builds(options.UserPasswordResult, st.booleans()),
    st.builds(options.SessionOk),
    st.builds(options.SessionInvalid),
    st.builds(options.IdempotenceWindow, TOKEN, WINDOW_SIZE),
    st.builds(options.IdempotenceAccepted),
    st.builds(options.IdempotenceRejected),
)
OPERATION_OPTIONS = lists_of(STACK, UNKNOWN_STACK, UNKNOWN, SESSION_ID)

NOWHERE = st.sampled_from((Address(AddressType.IPV4, "0.0.0.0"), Address(AddressType.IPV6, "::")))
COMMAND_BUT_NOOP: st.SearchStrategy[Command | int] = st.integers(1, 255).map(lambda octet: COMMANDS.get(octet, octet))
REQUEST = st.one_of(
    st.builds(messages.Request, COMMAND_BUT_NOOP, ADDRESS, PORT, REQUEST_OPTIONS),
    st.builds(messages.Request, st.just(Command.NOOP), NOWHERE, st.just(0), REQUEST_OPTIONS),
)
VERSION_MISMATCH = st.builds(messages.VersionMismatch)
AUTHENTICATION_REPLY = st.builds(
    messages.AuthenticationReply, st.sampled_from(messages.AuthenticationType), AUTHENTICATION_OPTIONS
)
OPERATION_REPLY = st.builds(messages.OperationReply, st.sampled_from(ReplyCode), ADDRESS, PORT, OPERATION_OPTIONS)

ASSOCIATION_ID = st.binary(min_size=udp.ID_LENGTH, max_size=udp.ID_LENGTH)
IP = st.one_of(IPV4, IPV6)
DATAGRAM = st.builds(udp.Datagram, ASSOCIATION_ID, ADDRESS, PORT, st.binary(max_size=64))
UDP_MESSAGE: st.SearchStrategy[udp.UdpMessage] = st.one_of(
    st.builds(udp.AssociationInit, ASSOCIATION_ID),
    st.builds(udp.AssociationConfirmation, ASSOCIATION_ID),
    DATAGRAM,
    st.builds(udp.DatagramError, ASSOCIATION_ID, IP, PORT, st.sampled_from(udp.ErrorCode), IP),
)
