"""What the codec encodes is what tshark shows, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codec.address import Address
from codec.command import Command
from codec.dissector.render import DRAFT_04, DRAFT_11
from codec.reply import ReplyCode
from codec.socks6 import messages, udp, wire
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import wire as wire04
from codec.socks6.option import Option, Place, RawOption
from codec.socks6.option_list import Options
from codec.socks6.stack import StackOption
from tests.codec.dissector.capture import Capture, Connection
from tests.codec.dissector.examples import Example, examples_of
from tests.codec.dissector.tshark import Frame, Tshark, merged

HOSTS = [Address.of(host) for host in ("203.0.113.7", "2001:db8::9", "a.example", "abc", "n" * 255, "x\udcff.example")]
Send = Callable[[Connection, Place, Options], Connection]


def send_draft11(connection: Connection, place: Place, options: Options) -> Connection:
    """A conversation in which the message at `place` has these options."""
    have: dict[Place, Options] = {each: options if each is place else () for each in Place}
    request = messages.Request(Command.CONNECT, HOSTS[0], 9, have[Place.REQUEST])
    authentication = messages.AuthenticationReply(messages.AuthenticationType.SUCCESS, have[Place.AUTHENTICATION_REPLY])
    operation = messages.OperationReply(ReplyCode.SUCCEEDED, options=have[Place.OPERATION_REPLY])
    connection.client(wire.encode_request(request))
    return connection.server(wire.encode_authentication_reply(authentication), wire.encode_operation_reply(operation))


def send_draft04(connection: Connection, place: Place, options: Options) -> Connection:
    """The same in draft-04."""
    have: dict[Place, Options] = {each: options if each is place else () for each in Place}
    request = messages04.Request(Command.CONNECT, HOSTS[0], 9, 0, have[Place.REQUEST])
    authentication = messages04.AuthenticationReply(
        messages04.AuthenticationType.SUCCESS, options=have[Place.AUTHENTICATION_REPLY]
    )
    operation = messages04.OperationReply(ReplyCode.SUCCEEDED, options=have[Place.OPERATION_REPLY])
    connection.client(wire04.encode_request(request))
    return connection.server(
        wire04.encode_authentication_reply(authentication) + wire04.encode_operation_reply(operation)
    )


def placed(options: tuple[type[Option], ...], prefix: str) -> Iterator[tuple[Place, Example]]:
    """Every example in every message that it may stand in."""
    for option in options:
        group = "stack." if issubclass(option, StackOption) else "option."
        for example in examples_of(option, prefix + group):
            for place in Place:
                if place in option.places:
                    yield place, example


@pytest.mark.parametrize(
    ("options", "prefix", "send", "draft"),
    [
        (DRAFT_11, "socks6.", send_draft11, "draft-11"),
        (DRAFT_04, "socks6.draft04.", send_draft04, "draft-04"),
    ],
)
def test_every_option_shows_every_field_in_every_message_that_may_hold_it(
    tshark: Tshark, tmp_path: Path, options: tuple[type[Option], ...], prefix: str, send: Send, draft: str
) -> None:
    capture = Capture()
    cases = list(placed(options, prefix))
    for place, example in cases:
        send(capture.connection(), place, (example.option,))
    shown = tshark.streams(capture.write(tmp_path / "options.pcap"), "-o", f"socks6.draft:{draft}")
    assert len(shown) == len(cases) > len(options)
    for number, (_, example) in enumerate(cases):
        frame = merged(shown[number])
        names = {name for name, _ in example.shown}
        assert [pair for pair in frame.pairs if pair[0] in names] == example.shown, example.option
        assert frame.one("socks6.option.kind") == str(int(example.option.kind))
        assert not frame.complaints, example.option
        if isinstance(example.option, StackOption):
            stack = [frame.one(f"socks6.stack.{name}") for name in ("leg", "level", "code")]
            expected = example.option.leg, example.option.level, example.option.code
            assert stack == [str(int(number)) for number in expected]


def test_unknown_options_show_as_octets(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    unknown = RawOption(64512, b"\1\2\3\4"), RawOption(1, b"\x84\x63\0\0"), RawOption(4, b"\1GSS"), RawOption(99, b"")
    send_draft11(capture.connection(), Place.REQUEST, unknown)
    frame = merged(tshark.frames(capture.write(tmp_path / "unknown.pcap")))
    assert frame.all("socks6.option.data") == ["01:02:03:04", "00:00", "47:53:53"]
    assert frame.all("socks6.option.kind") == ["64512", "1", "4", "99"]
    assert frame.one("socks6.authentication_data.method") == "1"


def address_fields(prefix: str, address: Address) -> list[tuple[str, str]]:
    """What is shown of an address: octets beyond ASCII cannot be text."""
    host = address.host.replace("\udcff", "\N{REPLACEMENT CHARACTER}")
    kind = {1: "ipv4", 3: "name", 4: "ipv6"}[address.type]
    return [(f"{prefix}.address", host), (f"{prefix}.{kind}", host)]


def test_requests_and_replies_show_their_fields(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    cases = [
        (version, messages.Request(command, host, 0 if command is Command.NOOP else port), code)
        for version, command, code, port in (
            (6, Command.CONNECT, ReplyCode.SUCCEEDED, 80), (0xCF, Command.BIND, ReplyCode.TIMED_OUT, 0xFFFF),
            (0xD4, Command.UDP_ASSOCIATE, ReplyCode.NOT_ALLOWED, 0), (6, 99, ReplyCode.COMMAND_NOT_SUPPORTED, 5),
        )
        for host in HOSTS
    ]  # fmt: skip
    for version, request, code in cases:
        reply = messages.OperationReply(code, request.address, request.port)
        connection = capture.connection().client(wire.encode_request(request, version))
        connection.server(wire.refusal(code, version)[:4] + wire.encode_operation_reply(reply, version))
    shown = tshark.streams(capture.write(tmp_path / "messages.pcap"))
    for number, (version, request, code) in enumerate(cases):
        frame = merged(shown[number])
        assert frame.all("socks6.version") == [f"0x{version:02x}"] * 3
        assert frame.one("socks6.request.command") == str(int(request.command))
        assert frame.one("socks6.authentication_reply.type") == "0"
        assert frame.one("socks6.operation_reply.code") == str(int(code))
        for prefix in ("socks6.request", "socks6.operation_reply"):
            assert frame.one(f"{prefix}.port") == str(request.port)
            assert frame.one(f"{prefix}.address_type") == str(int(request.address.type))
            kinds = {f"{prefix}.{kind}" for kind in ("address", "name", "ipv4", "ipv6")}
            assert sorted(pair for pair in frame.pairs if pair[0] in kinds) == address_fields(prefix, request.address)


def test_requests_and_replies_of_draft_04_show_their_fields(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    for host in HOSTS:
        request = messages04.Request(Command.CONNECT, host, 443, 5)
        reply = messages04.OperationReply(ReplyCode.SUCCEEDED, host, 81, 3)
        connection = capture.connection().client(wire04.encode_request(request) + b"12345")
        success = messages04.AuthenticationReply(messages04.AuthenticationType.SUCCESS)
        connection.server(wire04.encode_authentication_reply(success) + wire04.encode_operation_reply(reply))
    shown = tshark.streams(capture.write(tmp_path / "draft04.pcap"), "-o", "socks6.draft:draft-04")
    for number, host in enumerate(HOSTS):
        frame = merged(shown[number])
        assert frame.one("socks6.request.initial_data_size") == "5"
        assert frame.one("socks6.operation_reply.initial_data_offset") == "3"
        assert frame.one("socks6.data.length") == "5"
        assert frame.all("socks6.minor_version") == ["0", "0"]
        assert frame.one("socks6.authentication_reply.method") == "0"
        assert (frame.one("socks6.request.port"), frame.one("socks6.operation_reply.port")) == ("443", "81")
        for pair in address_fields("socks6.request", host) + address_fields("socks6.operation_reply", host):
            assert pair in frame.pairs


ID = bytes(range(0xF0, 0xF8))
UDP_MESSAGES: list[udp.UdpMessage] = [
    udp.AssociationInit(ID),
    udp.AssociationConfirmation(ID),
    *(udp.Datagram(ID, host, 9, b"data") for host in HOSTS),
    udp.Datagram(ID, HOSTS[0], 0, b""),
    *(
        udp.DatagramError(ID, HOSTS[0], 9, code, reporter)
        for code in udp.ErrorCode
        for reporter in (HOSTS[0], HOSTS[1])
    ),
]


def check_udp(message: udp.UdpMessage, frame: Frame) -> None:
    """The frame shows this message."""
    octets = udp.encode_udp(message)
    assert frame.one("socks6.udp.type") == str(octets[1])
    assert frame.one("socks6.udp.length") == str(len(octets))
    assert frame.one("socks6.udp.association_id") == ID.hex(":")
    if isinstance(message, udp.Datagram | udp.DatagramError):
        assert frame.one("socks6.udp.port") == str(message.port)
        for pair in address_fields("socks6.udp", message.address):
            assert pair in frame.pairs
    if isinstance(message, udp.Datagram) and message.data:
        assert frame.one("data.data") == message.data.hex(":")
    if isinstance(message, udp.DatagramError):
        assert frame.one("socks6.udp.error") == str(int(message.code))
        for pair in address_fields("socks6.udp.reporter", message.reporter):
            assert pair in frame.pairs


def test_udp_messages_show_their_fields_over_tcp_and_udp(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    request = messages.Request(Command.UDP_ASSOCIATE, HOSTS[0], 0)
    replies = wire.refusal(ReplyCode.SUCCEEDED)
    connection = capture.connection(handshake=False).client(wire.encode_request(request)).server(replies)
    for message in UDP_MESSAGES:
        connection.server(udp.encode_udp(message))
    for message in UDP_MESSAGES:
        capture.datagram(udp.encode_udp(message), from_client=False)
    frames = tshark.frames(capture.write(tmp_path / "udp.pcap"))
    assert len(frames) == 2 + 2 * len(UDP_MESSAGES)
    for number, message in enumerate(UDP_MESSAGES):
        for frame in (frames[2 + number], frames[2 + len(UDP_MESSAGES) + number]):
            check_udp(message, frame)
            assert frame.all("socks6.udp.init_in") == ([] if isinstance(message, udp.AssociationInit) else ["3"])


def test_udp_on_another_port_is_known_by_its_association(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    datagram = udp.encode_udp(udp.Datagram(ID, HOSTS[0], 9, b"data"))
    capture.datagram(datagram, port=40001)
    connection = capture.connection().client(wire.encode_request(messages.Request(Command.UDP_ASSOCIATE, HOSTS[0], 0)))
    connection.server(wire.refusal(ReplyCode.SUCCEEDED) + udp.encode_udp(udp.AssociationInit(ID)))
    capture.datagram(datagram, port=40000)
    frames = tshark.frames(capture.write(tmp_path / "port.pcap"))
    assert not frames[0].under("socks6")
    assert frames[-1].one("data.data") == b"data".hex(":")
    assert frames[-1].one("socks6.udp.init_in") == "5"
