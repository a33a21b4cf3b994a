"""The grammar of the vector files: a line such as `req connect v4=192.0.2.1 443 tos:2:46` as a message of the codec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from codec import rfc1929
from codec.address import Address, AddressType
from codec.command import Command
from codec.method import METHODS, AuthenticationMethod
from codec.reply import ReplyCode
from codec.socks6 import messages, options, stack, udp
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import options as options04
from codec.socks6.option import Option
from codec.socks6.option_list import Options

PADDING_COUNTED = " (padding counted)"
MakeOption = Callable[..., Option]
MakeMessage = Callable[[list[str]], Any]


def parse_message(draft: str, text: str) -> Any:
    """The message that a line describes. KeyError, IndexError, TypeError or ValueError for a line that is none."""
    kind, *words = text.removesuffix(PADDING_COUNTED).split()
    return (_DRAFT_04 if draft == "04" else _DRAFT_11)[kind](words)


def _address(word: str) -> Address:
    kind, host = word.split("=", 1)
    types = {"v4": AddressType.IPV4, "v6": AddressType.IPV6, "dn": AddressType.DOMAIN_NAME}
    return Address(types[kind], host)


def _command(word: str) -> Command:
    return Command.UDP_ASSOCIATE if word == "udp" else Command[word.upper()]


def _options(words: list[str], known: Mapping[str, MakeOption]) -> Options:
    return tuple(known[name](*values) for name, *values in (word.split(":") for word in words))


def _leg(word: str) -> stack.Leg:
    return stack.Leg(int(word))


def _number(kind: Callable[[stack.Leg, int], Option]) -> MakeOption:
    return lambda leg, value: kind(_leg(leg), int(value))


def _choice(kind: Callable[[stack.Leg, bool], Option]) -> MakeOption:
    return lambda leg, value: kind(_leg(leg), {"1": False, "2": True}[value])


def _bare(kind: Callable[[stack.Leg], Option]) -> MakeOption:
    return lambda leg="2": kind(_leg(leg))


def _methods(word: str) -> tuple[AuthenticationMethod | int, ...]:
    return tuple(METHODS.get(int(number), int(number)) for number in word.split(",") if number)


def _without_padding(methods: tuple[AuthenticationMethod | int, ...]) -> tuple[AuthenticationMethod | int, ...]:
    """Where options are padded, method 0 at the end of a list cannot be told from padding."""
    return _without_padding(methods[:-1]) if methods[-1:] == (AuthenticationMethod.NONE,) else methods


_OPTIONS: Mapping[str, MakeOption] = {
    "tos": _number(stack.Tos),
    "ttl": _number(stack.Ttl),
    "tfo": _number(stack.TcpFastOpen),
    "backlog": _number(stack.ListenBacklog),
    "mp": _choice(stack.Multipath),
    "he": _choice(stack.HappyEyeballs),
    "df": _choice(stack.NoFragmentation),
    "udperr": _choice(stack.UdpError),
    "parity": lambda leg, parity, reserve: stack.PortParity(
        _leg(leg), stack.Parity(int(parity)), {"0": False, "1": True}[reserve]
    ),
    "adv": lambda length, methods: options.AuthenticationMethodAdvertisement(
        int(length), _without_padding(_methods(methods))
    ),
    "sel": lambda method: options.AuthenticationMethodSelection(_methods(method)[0]),
    "up": lambda user, password: options.UserPasswordData(user.encode(), password.encode()),
    "uprep": lambda success: options.UserPasswordResult(success == "1"),
    "sreq": options.SessionRequest,
    "sid": lambda octets: options.SessionId(bytes.fromhex(octets)),
    "sok": options.SessionOk,
    "sinv": options.SessionInvalid,
    "sdown": options.SessionTeardown,
    "ireq": lambda size: options.IdempotenceRequest(int(size)),
    "iwin": lambda base, size: options.IdempotenceWindow(int(base), int(size)),
    "iexp": lambda token: options.IdempotenceExpenditure(int(token)),
    "iacc": options.IdempotenceAccepted,
    "irej": options.IdempotenceRejected,
}
_OPTIONS_04: Mapping[str, MakeOption] = {
    "tfo": _bare(options04.TcpFastOpen),
    "mptcp": _bare(options04.Multipath),
    "sched": lambda leg, number: options04.MultipathScheduler(_leg(leg), options04.Scheduler(int(number))),
    "adv": lambda methods: options04.AuthenticationMethods(_methods(methods)),
    "up": lambda user, password: options04.UserPasswordData(user.encode(), password.encode()),
    "uprep": lambda success: options04.UserPasswordResult(success == "1"),
    "ireq": lambda size: options04.IdempotenceRequest(int(size)),
    "iwin": lambda base, size: options04.IdempotenceWindow(int(base), int(size)),
    "iexp": lambda token: options04.IdempotenceExpenditure(int(token)),
    "irep": lambda code: options04.IdempotenceReply(options04.Expenditure(int(code))),
}


def _request_04(words: list[str]) -> messages04.Request:
    command, address, port, initial_data_size, *rest = words
    return messages04.Request(
        _command(command), _address(address), int(port), int(initial_data_size), _options(rest, _OPTIONS_04)
    )


def _authentication_reply_04(words: list[str]) -> messages04.AuthenticationReply:
    kind, method, *rest = words
    return messages04.AuthenticationReply(
        messages04.AuthenticationType(int(kind)), _methods(method)[0], _options(rest, _OPTIONS_04)
    )


def _operation_reply_04(words: list[str]) -> messages04.OperationReply:
    code, address, port, offset, *rest = words
    return messages04.OperationReply(
        ReplyCode(int(code)), _address(address), int(port), int(offset), _options(rest, _OPTIONS_04)
    )


def _datagram(words: list[str]) -> udp.Datagram:
    association_id, address, port, *data = words
    return udp.Datagram(bytes.fromhex(association_id), _address(address), int(port), bytes.fromhex("".join(data)))


def _datagram_error(words: list[str]) -> udp.DatagramError:
    association_id, address, port, code, reporter = words
    return udp.DatagramError(
        bytes.fromhex(association_id), _address(address), int(port), udp.ErrorCode(int(code)), _address(reporter)
    )


_DRAFT_11: Mapping[str, MakeMessage] = {
    "req": lambda words: messages.Request(
        _command(words[0]), _address(words[1]), int(words[2]), _options(words[3:], _OPTIONS)
    ),
    "ver": lambda _: messages.VersionMismatch(),
    "auth": lambda words: messages.AuthenticationReply(
        messages.AuthenticationType(int(words[0])), _options(words[1:], _OPTIONS)
    ),
    "op": lambda words: messages.OperationReply(
        ReplyCode(int(words[0])), _address(words[1]), int(words[2]), _options(words[3:], _OPTIONS)
    ),
    "uinit": lambda words: udp.AssociationInit(bytes.fromhex(words[0])),
    "uconf": lambda words: udp.AssociationConfirmation(bytes.fromhex(words[0])),
    "udgram": _datagram,
    "uerr": _datagram_error,
    "upreq": lambda words: rfc1929.UserPassword(words[0].encode(), words[1].encode()),
    "uprep": lambda words: rfc1929.UserPasswordStatus(words[0] == "1"),
}
_DRAFT_04: Mapping[str, MakeMessage] = {
    "req": _request_04,
    "ver": lambda _: messages04.VersionMismatch(),
    "auth": _authentication_reply_04,
    "op": _operation_reply_04,
    "upreq": _DRAFT_11["upreq"],
    "uprep": _DRAFT_11["uprep"],
}
