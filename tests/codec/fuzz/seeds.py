"""Where fuzzing starts: every published vector, as a message of its kind and as one side of a conversation."""

from __future__ import annotations

from codec import rfc1929, socks4, socks5
from codec.address import Address
from codec.command import Command
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import wire as wire04
from codec.socks6.option import Place
from tests.codec import vectors
from tests.codec.fuzz.conversations import SCRIPT
from tests.codec.fuzz.decoders import DECODERS
from tests.codec.fuzz.target import TARGET
from tests.codec.vector_grammar import parse_message

# The check of each kind of vector; those of UDP and RFC 1929 are the same in both drafts.
_CHECKS = {
    "req": "request", "ver": "mismatch", "auth": "authentication-reply", "op": "operation-reply", "uinit": "udp",
    "uconf": "udp", "udgram": "udp", "uerr": "udp", "upreq": "user-password", "uprep": "user-password-status",
}  # fmt: skip
_ALSO_IN_04 = {"req", "ver", "auth", "op"}
_PLACES = {"req": Place.REQUEST, "auth": Place.AUTHENTICATION_REPLY, "op": Place.OPERATION_REPLY}
_HOST = Address.of("192.0.2.1")
_NAME = Address.of("example.com")
_CREDENTIALS = rfc1929.encode_user_password(UserPassword(b"user", b"password"))
_DATA = b"GET / HTTP/1.1\r\n\r\n"


def seeds() -> list[bytes]:
    """All inputs to start from, in a fixed order."""
    return [*_of_vectors(), *_without_vectors()]


def _of_vectors() -> list[bytes]:
    found = []
    for case in vectors.load():
        older = case.draft == "04"
        check = _CHECKS[case.kind] + ("-04" if older and case.kind in _ALSO_IN_04 else "")
        found.append(TARGET.make_input(check, case.octets))
        if case.message and case.kind in _PLACES:
            name = f"options-{case.draft}-{_PLACES[case.kind].title}"
            found.append(
                TARGET.make_input(name, DECODERS[name].encode(parse_message(case.draft, case.message).options))
            )
        # A script's first octet: 2 is a client of draft-11, 3 one of draft-04; odd is a server of draft-04.
        if case.kind == "req":
            for method in range(3):
                script = bytes((older, method, 1)).ljust(SCRIPT, b"\x05")
                found.append(TARGET.make_input("server", script + case.octets + _CREDENTIALS + _DATA))
        if case.kind == "op":
            accepted = b"\x06\0\0\0\0" if older else b"\x06\0\0\0"
            script = bytes((2 + older,)).ljust(SCRIPT, b"\x05")
            found.append(TARGET.make_input("client", script + accepted + case.octets + _DATA))
    return found


def _without_vectors() -> list[bytes]:
    operation04 = wire04.encode_operation_reply(messages04.OperationReply(ReplyCode.SUCCEEDED, _NAME, 80, 16))
    request4 = socks4.encode_request(socks4.Request(Command.CONNECT, _NAME, 80, b"user"))
    reply4 = socks4.encode_reply(socks4.Reply(socks4.ResultCode.GRANTED, _HOST, 80))
    greeting = socks5.encode_greeting(socks5.Greeting(bytes((0, 2))))
    selection = socks5.encode_method_selection(socks5.MethodSelection(AuthenticationMethod.USER_PASSWORD))
    request5 = socks5.encode_request(socks5.Request(Command.CONNECT, _NAME, 80))
    reply5 = socks5.encode_reply(socks5.Reply(ReplyCode.SUCCEEDED, _HOST, 80))
    status = rfc1929.encode_status(rfc1929.UserPasswordStatus(True))
    script5 = bytes((1, 1, 1)).ljust(SCRIPT, b"\x03")
    script4 = bytes(SCRIPT)
    calls = bytes((0xF8, 0xF8, 0x0C, 0xF8, 0x0D, 0xF8, 0x06, 0x07)).ljust(3 * SCRIPT, b"\x08")
    return [
        TARGET.make_input("mismatch", b"\x06"),
        TARGET.make_input("operation-reply-04", operation04),
        TARGET.make_input("options-04-operation reply", bytes.fromhex("02 01048402 01048401")),
        TARGET.make_input("user-password", _CREDENTIALS),
        TARGET.make_input("user-password-status", status),
        TARGET.make_input("socks5-request", b"GGGGG"),  # broke it once: the reply depended on the split
        TARGET.make_input("socks4-request", request4),
        TARGET.make_input("socks4-reply", reply4),
        TARGET.make_input("socks5-greeting", greeting),
        TARGET.make_input("socks5-method", selection),
        TARGET.make_input("socks5-request", request5),
        TARGET.make_input("socks5-reply", reply5),
        TARGET.make_input("socks5-datagram", socks5.encode_datagram(socks5.Datagram(_NAME, 53, _DATA))),
        TARGET.make_input("server", script4 + request4 + _DATA),
        TARGET.make_input("server", script5 + greeting + _CREDENTIALS + request5 + _DATA),
        TARGET.make_input("calls", calls + greeting + _CREDENTIALS + request5 + _DATA),
        TARGET.make_input("client", script4 + reply4 + _DATA),
        TARGET.make_input("client", script5 + selection + status + reply5 + _DATA),
    ]
