"""A conversation for every path through both state machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from codec import rfc1929, socks4, socks5
from codec.address import ANY_IPV4, Address
from codec.client import Event, Socks4Client, Socks5Client, Socks6Client
from codec.command import Command
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword, UserPasswordStatus
from codec.server import ServerConnection
from codec.socks6 import messages, options, stack, udp
from codec.socks6.dialect import DRAFT_04, Draft11
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import options as options04
from codec.socks6.option import Option
from tests.codec.conversations import Conversation

HOST, BOUND, PEER = Address.of("example.com"), Address.of("192.0.2.9"), Address.of("192.0.2.10")
INITIAL = b"\x01\x02octets that could be credentials"
EARLY = b"GET / HTTP/1.1\r\n\r\n"
LATE = b"HTTP/1.1 200 OK\r\n\r\n"
ALICE = UserPassword(b"alice", b"sesame")
CREDENTIALS = rfc1929.encode_user_password(ALICE)
SUCCESS, FAILURE = messages.AuthenticationType.SUCCESS, messages.AuthenticationType.FAILURE
MULTIPATH = stack.Multipath(stack.Leg.PROXY_REMOTE, wanted=True)
SESSION = options.SessionId(b"12345678")
ID = bytes(range(8))

Answer = Callable[[ServerConnection], bytes]


def choose(method: AuthenticationMethod) -> Answer:
    return lambda server: server.send_method(method)


def authenticate(success: bool, *told: Option) -> Answer:
    return lambda server: server.send_authentication(success, told)


def reply(code: ReplyCode = ReplyCode.SUCCEEDED, *told: Option) -> Answer:
    """Say how it went; in case of success, the address bound."""
    bound = (BOUND, 4000) if code is ReplyCode.SUCCEEDED else (ANY_IPV4, 0)
    return lambda server: server.send_reply(code, *bound, told)


def come(server: ServerConnection) -> bytes:
    """The second reply to a BIND."""
    return server.send_reply(ReplyCode.SUCCEEDED, PEER, 5000)


def say(*said: udp.UdpMessage) -> Answer:
    return lambda server: b"".join(server.send_udp(message) for message in said)


def each(*answers: Answer) -> Answer:
    """One answer behind the other."""
    return lambda server: b"".join([answer(server) for answer in answers])


CHOOSE_NONE = choose(AuthenticationMethod.NONE)
DEMAND_PASSWORD = choose(AuthenticationMethod.USER_PASSWORD)
REFUSE_ALL = choose(AuthenticationMethod.NONE_ACCEPTABLE)


def socks4_case(
    command: Command, host: Address, answer: Answer, *replies: socks4.Reply, remote_data: bytes = b""
) -> Conversation:
    request = socks4.Request(command, host, 80, b"fred")
    return Conversation(
        lambda: Socks4Client(request), (answer,), (request,), replies, false_start=EARLY, remote_data=remote_data
    )


GRANTED = socks4.Reply(socks4.ResultCode.GRANTED, BOUND, 4000)
GRANTED_PEER = socks4.Reply(socks4.ResultCode.GRANTED, PEER, 5000)
REJECTED = socks4.Reply(socks4.ResultCode.REJECTED_OR_FAILED)
SOCKS4 = {
    "socks4": socks4_case(Command.CONNECT, PEER, reply(), GRANTED, remote_data=LATE),
    "socks4a": socks4_case(Command.CONNECT, HOST, reply(), GRANTED, remote_data=LATE),
    "socks4 refused": socks4_case(Command.CONNECT, HOST, reply(ReplyCode.TIMED_OUT), REJECTED),
    "socks4 bind": socks4_case(Command.BIND, PEER, each(reply(), come), GRANTED, GRANTED_PEER, remote_data=LATE),
    "socks4 bind refused": socks4_case(Command.BIND, PEER, reply(ReplyCode.NOT_ALLOWED), REJECTED),
}

ANYBODY = socks5.Greeting(b"\0")
WITH_PASSWORD = socks5.Greeting(b"\0\2")
REPLY5 = socks5.Reply(ReplyCode.SUCCEEDED, BOUND, 4000)
REPLY5_PEER = socks5.Reply(ReplyCode.SUCCEEDED, PEER, 5000)


def socks5_case(command: Command, answer: Answer, *replies: socks5.Reply, remote_data: bytes = LATE) -> Conversation:
    request = socks5.Request(command, HOST, 80)
    return Conversation(
        lambda: Socks5Client(request),
        (CHOOSE_NONE, answer),
        (ANYBODY, request),
        replies,
        last_message=socks5.encode_request(request),
        false_start=EARLY,
        remote_data=remote_data,
    )


CONNECT5 = socks5.Request(Command.CONNECT, HOST, 80)
SOCKS5 = {
    "socks5": socks5_case(Command.CONNECT, reply(), REPLY5),
    "socks5 refused": socks5_case(
        Command.CONNECT,
        reply(ReplyCode.CONNECTION_REFUSED),
        socks5.Reply(ReplyCode.CONNECTION_REFUSED),
        remote_data=b"",
    ),
    "socks5 bind": socks5_case(Command.BIND, each(reply(), come), REPLY5, REPLY5_PEER),
    "socks5 udp": socks5_case(Command.UDP_ASSOCIATE, reply(), REPLY5),
    "socks5 password": Conversation(
        lambda: Socks5Client(CONNECT5, ALICE),
        (DEMAND_PASSWORD, authenticate(True), reply()),
        (WITH_PASSWORD, ALICE, CONNECT5),
        (REPLY5,),
        last_message=socks5.encode_request(CONNECT5),
        false_start=EARLY,
        remote_data=LATE,
    ),
    "socks5 password not needed": Conversation(
        lambda: Socks5Client(CONNECT5, ALICE), (CHOOSE_NONE, reply()), (WITH_PASSWORD, CONNECT5), (REPLY5,)
    ),
    "socks5 wrong password": Conversation(
        lambda: Socks5Client(CONNECT5, ALICE),
        (DEMAND_PASSWORD, authenticate(False)),
        (WITH_PASSWORD, ALICE),
        (UserPasswordStatus(success=False),),
    ),
    "socks5 none acceptable": Conversation(
        lambda: Socks5Client(CONNECT5),
        (REFUSE_ALL,),
        (ANYBODY,),
        (socks5.MethodSelection(AuthenticationMethod.NONE_ACCEPTABLE),),
    ),
}

AUTHENTICATED = messages.AuthenticationReply(SUCCESS)
REPLY6 = messages.OperationReply(ReplyCode.SUCCEEDED, BOUND, 4000)
REPLY6_PEER = messages.OperationReply(ReplyCode.SUCCEEDED, PEER, 5000)
REFUSED6 = messages.OperationReply(ReplyCode.HOST_UNREACHABLE)


def connect6(*told: Option) -> messages.Request:
    return messages.Request(Command.CONNECT, HOST, 80, told)


def advertising(initial_data: bytes = b"") -> messages.Request:
    """A request of a client that is willing to say its password when it is asked for."""
    methods = (AuthenticationMethod.USER_PASSWORD,)
    return connect6(options.AuthenticationMethodAdvertisement(len(initial_data), methods))


def refusal6(*told: Option) -> messages.AuthenticationReply:
    return messages.AuthenticationReply(FAILURE, told)


PLAIN6 = connect6(MULTIPATH)
SHORTCUT = connect6(options.UserPasswordData(ALICE.user, ALICE.password), options.SessionRequest())
IN_SESSION = connect6(SESSION, options.IdempotenceExpenditure(7))
REJECTED_TOKEN = (options.SessionOk(), options.IdempotenceRejected())
DEMANDED = options.AuthenticationMethodSelection(AuthenticationMethod.USER_PASSWORD)
NO_METHOD = options.AuthenticationMethodSelection(AuthenticationMethod.NONE_ACCEPTABLE)
BIND6 = messages.Request(Command.BIND, ANY_IPV4, 0)
NOOP6 = messages.Request(Command.NOOP, ANY_IPV4, 0)
SOCKS6 = {
    "socks6": Conversation(
        lambda: Socks6Client(PLAIN6), (reply(ReplyCode.SUCCEEDED, MULTIPATH),), (PLAIN6,),
        (AUTHENTICATED, messages.OperationReply(ReplyCode.SUCCEEDED, BOUND, 4000, (MULTIPATH,))),
        false_start=EARLY, remote_data=LATE,
    ),
    "socks6 refused": Conversation(
        lambda: Socks6Client(PLAIN6), (reply(ReplyCode.HOST_UNREACHABLE),), (PLAIN6,), (AUTHENTICATED, REFUSED6),
        false_start=EARLY,
    ),
    "socks6 noop": Conversation(
        lambda: Socks6Client(NOOP6), (reply(),), (NOOP6,), (AUTHENTICATED, REPLY6),
    ),
    "socks6 bind": Conversation(
        lambda: Socks6Client(BIND6), (each(reply(), come),), (BIND6,), (AUTHENTICATED, REPLY6, REPLY6_PEER),
        remote_data=LATE,
    ),
    "socks6 bind without a peer": Conversation(
        lambda: Socks6Client(BIND6), (each(reply(), reply(ReplyCode.HOST_UNREACHABLE)),), (BIND6,),
        (AUTHENTICATED, REPLY6, REFUSED6),
    ),
    "socks6 password in the request": Conversation(
        lambda: Socks6Client(SHORTCUT),
        (each(authenticate(True, options.UserPasswordResult(success=True), SESSION), reply()),),
        (SHORTCUT,),
        (messages.AuthenticationReply(SUCCESS, (options.UserPasswordResult(success=True), SESSION)), REPLY6),
        false_start=EARLY, remote_data=LATE,
    ),
    "socks6 wrong password in the request": Conversation(
        lambda: Socks6Client(SHORTCUT), (authenticate(False, options.UserPasswordResult(success=False)),), (SHORTCUT,),
        (refusal6(options.UserPasswordResult(success=False)),),
    ),
    "socks6 spent token": Conversation(
        lambda: Socks6Client(IN_SESSION, ALICE), (authenticate(False, *REJECTED_TOKEN),), (IN_SESSION,),
        (refusal6(*REJECTED_TOKEN),),
    ),
    "socks6 password demanded": Conversation(
        lambda: Socks6Client(advertising(INITIAL), ALICE),
        (DEMAND_PASSWORD, each(authenticate(True, SESSION), reply())),
        (advertising(INITIAL), ALICE),
        (messages.AuthenticationReply(SUCCESS, (SESSION,)), REPLY6),
        initial_data=INITIAL, last_message=CREDENTIALS, false_start=EARLY, remote_data=LATE,
    ),
    "socks6 password not needed": Conversation(
        lambda: Socks6Client(advertising(INITIAL), ALICE), (reply(),), (advertising(INITIAL),), (AUTHENTICATED, REPLY6),
        initial_data=INITIAL, remote_data=LATE,
    ),
    "socks6 wrong password": Conversation(
        lambda: Socks6Client(advertising(), ALICE), (DEMAND_PASSWORD, authenticate(False)), (advertising(), ALICE),
        (refusal6(),),
    ),
    "socks6 no password to say": Conversation(
        lambda: Socks6Client(advertising()), (DEMAND_PASSWORD,), (advertising(),), (refusal6(DEMANDED),),
    ),
    "socks6 none acceptable": Conversation(
        lambda: Socks6Client(advertising(), ALICE), (REFUSE_ALL,), (advertising(),), (refusal6(NO_METHOD),),
    ),
}  # fmt: skip

ASSOCIATE = messages.Request(Command.UDP_ASSOCIATE, ANY_IPV4, 0)
TO_HOST, TO_NOBODY = udp.Datagram(ID, HOST, 53, b"question"), udp.Datagram(ID, PEER, 54)
FROM_HOST = udp.Datagram(ID, PEER, 53, b"answer")
BEGUN, CONFIRMED = udp.AssociationInit(ID), udp.AssociationConfirmation(ID)
UNREACHABLE = udp.DatagramError(ID, PEER, 54, udp.ErrorCode.HOST_UNREACHABLE, BOUND)


def association(spoken: Draft11) -> Conversation:
    """Two datagrams over TCP; an answer to the one, and an error about the other."""
    return Conversation(
        lambda: Socks6Client(ASSOCIATE, spoken=spoken),
        (each(reply(), say(BEGUN)), say(CONFIRMED, FROM_HOST), say(UNREACHABLE)),
        (ASSOCIATE, TO_HOST, TO_NOBODY),
        (AUTHENTICATED, REPLY6, BEGUN, CONFIRMED, FROM_HOST, UNREACHABLE),
        remarks=(
            lambda _client: b"",
            lambda _client: b"",
            lambda client: client.send_udp(TO_HOST) + client.send_udp(TO_NOBODY),
        ),
        dialects={spoken.version: spoken},
    )


UDP = {
    "udp": association(Draft11()),
    "udp of another version octet": association(Draft11(0xCF)),
    "udp refused": Conversation(
        lambda: Socks6Client(ASSOCIATE),
        (reply(ReplyCode.HOST_UNREACHABLE),),
        (ASSOCIATE,),
        (AUTHENTICATED, REFUSED6),
    ),
}

AUTHENTICATED_04 = messages04.AuthenticationReply(messages04.AuthenticationType.SUCCESS)
BY_PASSWORD_04 = replace(AUTHENTICATED_04, method=AuthenticationMethod.USER_PASSWORD)
REPLY_04 = messages04.OperationReply(ReplyCode.SUCCEEDED, BOUND, 4000)


def connect_04(initial_data: bytes, *told: Option) -> messages04.Request:
    return messages04.Request(Command.CONNECT, HOST, 80, len(initial_data), told)


def draft_04(
    request: messages04.Request,
    answers: tuple[Answer, ...],
    replies: tuple[Event, ...],
    initial_data: bytes = b"",
    remote_data: bytes = b"",
) -> Conversation:
    """A client that says its password when it is asked for."""
    negotiates = len(answers) > 1
    return Conversation(
        lambda: Socks6Client(request, ALICE, DRAFT_04),
        answers,
        (request, ALICE) if negotiates else (request,),
        replies,
        dialects={DRAFT_04.version: DRAFT_04},
        initial_data=initial_data,
        last_message=CREDENTIALS if negotiates else b"",
        false_start=EARLY,
        remote_data=remote_data,
    )


PLAIN_04 = connect_04(b"", options04.TcpFastOpen(stack.Leg.PROXY_REMOTE))
WITH_INITIAL_DATA = connect_04(INITIAL, options04.AuthenticationMethods((AuthenticationMethod.USER_PASSWORD,)))
TAKEN_04 = messages04.OperationReply(ReplyCode.SUCCEEDED, BOUND, 4000, len(INITIAL))
BIND_04 = messages04.Request(Command.BIND, ANY_IPV4, 0)
ASSOCIATE_04 = messages04.Request(Command.UDP_ASSOCIATE, ANY_IPV4, 0)
DRAFT_04_CASES = {
    "draft-04": draft_04(PLAIN_04, (reply(),), (AUTHENTICATED_04, REPLY_04), remote_data=LATE),
    "draft-04 initial data": draft_04(WITH_INITIAL_DATA, (reply(),), (AUTHENTICATED_04, TAKEN_04), INITIAL, LATE),
    "draft-04 password demanded": draft_04(
        WITH_INITIAL_DATA,
        (DEMAND_PASSWORD, each(authenticate(True), reply())),
        (BY_PASSWORD_04, TAKEN_04),
        INITIAL,
        LATE,
    ),
    "draft-04 bind": draft_04(
        BIND_04,
        (each(reply(), come),),
        (AUTHENTICATED_04, REPLY_04, messages04.OperationReply(ReplyCode.SUCCEEDED, PEER, 5000)),
        remote_data=LATE,
    ),
    # Its datagrams never travel over TCP: what follows the reply is none.
    "draft-04 udp": draft_04(ASSOCIATE_04, (reply(),), (AUTHENTICATED_04, REPLY_04)),
    "draft-04 none acceptable": Conversation(
        lambda: Socks6Client(PLAIN_04, ALICE, DRAFT_04),
        (REFUSE_ALL,),
        (PLAIN_04,),
        (
            messages04.AuthenticationReply(
                messages04.AuthenticationType.MORE_NEEDED, AuthenticationMethod.NONE_ACCEPTABLE
            ),
        ),
        dialects={DRAFT_04.version: DRAFT_04},
    ),
}

CASES = {**SOCKS4, **SOCKS5, **SOCKS6, **UDP, **DRAFT_04_CASES}
