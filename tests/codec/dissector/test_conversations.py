"""Conversations are dissected the same however TCP cuts them, in one pass or two, in any order of the frames."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from codec.dissector.install import FOLDERS_COMMAND, plugin_path, write_dissector
from codec.reply import ReplyCode
from codec.socks6.options import UserPasswordData
from tests.codec.dissector.capture import Capture, single_octets, two_way_splits
from tests.codec.dissector.conversations import (
    CONVERSATIONS,
    DATAGRAM,
    FALSE_START,
    GET,
    NEGOTIATION,
    NEGOTIATION_04,
    OK,
    PASSWORD,
    SESSION,
    Turns,
    authenticated,
    operated,
    play,
    request,
)
from tests.codec.dissector.tshark import Frame, Tshark, merged

pytestmark = pytest.mark.slow

PASSES = pytest.mark.parametrize("passes", [(), ("-2",)], ids=["one pass", "two passes"])
UNSTEADY = ("socks6.data.", "socks6.request_in", "socks6.reply_in", "socks6.response_time", "socks6.udp.init_in")
"""What depends on how the data were cut, and in which frame a message ends."""
INSIDE = ("http.request.uri", "http.response.code", "http.file_data", "dns.qry.name")


def told(frames: list[Frame]) -> list[tuple[str, str]]:
    """What a conversation says, by SOCKSv6 and inside."""
    return [
        (name, value)
        for name, value in merged(frames).pairs
        if name in INSIDE or (name.startswith("socks6.") and not name.startswith(UNSTEADY))
    ]


def cuts(turns: Turns) -> Iterator[dict[int, tuple[bytes, ...]]]:
    """Every two-way split of every turn, and every octet alone."""
    for number, (_, octets) in enumerate(turns):
        for pieces in two_way_splits(octets):
            yield {number: pieces}
    yield {number: single_octets(octets) for number, (_, octets) in enumerate(turns)}


@PASSES
@pytest.mark.parametrize("name", [*CONVERSATIONS, "negotiation-04"])
def test_any_split_says_the_same(tshark: Tshark, tmp_path: Path, name: str, passes: tuple[str, ...]) -> None:
    turns = CONVERSATIONS.get(name, NEGOTIATION_04)
    draft = "draft-04" if name == "negotiation-04" else "draft-11"
    capture = Capture()
    play(capture.connection(), turns)
    ways = list(cuts(turns))
    for way in ways:
        play(capture.connection(), turns, way)
    # Fields of other protocols are left out: they are most of the text.
    only = ("-j", "tcp socks6 http dns", "-o", f"socks6.draft:{draft}")
    streams = tshark.streams(capture.write(tmp_path / "splits.pcap"), *only, *passes)
    whole = told(streams[0])
    assert whole
    for number, way in enumerate(ways):
        assert told(streams[number + 1]) == whole, way


def test_what_conversations_say(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    for turns in CONVERSATIONS.values():
        play(capture.connection(), turns)
    path = capture.write(tmp_path / "conversations.pcap")
    streams = {name: merged(frames) for name, frames in zip(CONVERSATIONS, tshark.streams(path).values(), strict=True)}
    for name in ("false start", "session", "negotiation"):
        assert streams[name].all("http.request.uri")[-1] == "/index"
        assert streams[name].one("http.response.code") == "200"
        assert set(streams[name].all("socks6.data.destination")) == {"www.example:80"}
    assert streams["false start"].all("socks6.stack.tos") == ["44", "44"]
    assert streams["negotiation"].all("socks6.authentication_reply.type") == ["1", "0"]
    assert streams["negotiation"].one("socks6.user_password.user") == "alice"
    assert streams["negotiation"].one("socks6.user_password.status") == "0"
    assert streams["bind"].all("socks6.operation_reply.port") == ["4000", "4000"]
    assert streams["bind"].one("socks6.data.length") == str(len("from the peer"))
    assert streams["association"].all("socks6.udp.type") == ["1", "3", "3", "2", "3"]
    assert streams["association"].all("dns.qry.name") == ["nfs.example"] * 3
    assert not any(stream.complaints for stream in streams.values())


def test_the_list_of_packets_tells_what_is_asked_and_answered(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    play(capture.connection(handshake=False), SESSION)
    play(capture.connection(handshake=False), FALSE_START)
    connection = capture.connection(handshake=False).client(request(port=1))
    connection.server(authenticated() + operated(ReplyCode.CONNECTION_REFUSED))
    capture.datagram(DATAGRAM)
    assert tshark.columns(capture.write(tmp_path / "columns.pcap")) == [
        ("SOCKSv6", "CONNECT www.example:80, 2 options"),
        ("SOCKSv6", "Authentication reply: success, 2 options"),
        ("SOCKSv6", "Operation reply: succeeded, bound 192.0.2.9:4000"),
        ("HTTP", "GET /index HTTP/1.1 "),
        ("HTTP", "HTTP/1.1 200 OK "),
        ("HTTP", "CONNECT www.example:80, 3 options; GET /index HTTP/1.1 "),
        (
            "HTTP",
            "Authentication reply: success; Operation reply: succeeded, bound 192.0.2.9:4000, 3 options; "
            "HTTP/1.1 200 OK ",
        ),
        ("SOCKSv6", "CONNECT www.example:1"),
        ("SOCKSv6", "Authentication reply: success; Operation reply: connection refused"),
        ("DNS", "UDP datagram 192.0.2.9:53; Standard query 0x1234 A nfs.example"),
    ]


def test_requests_and_replies_name_each_other(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    play(capture.connection(handshake=False), SESSION)
    frames = tshark.frames(capture.write(tmp_path / "links.pcap"), "-2")
    assert frames[0].one("socks6.reply_in") == "3"
    assert frames[2].one("socks6.request_in") == "1"
    assert float(frames[2].one("socks6.response_time")) == 2
    assert [frame.one("socks6.data.request_in") for frame in frames[3:]] == ["1", "1"]


@PASSES
def test_passwords_stay_hidden_unless_asked_for(tshark: Tshark, tmp_path: Path, passes: tuple[str, ...]) -> None:
    capture = Capture()
    play(capture.connection(), NEGOTIATION)
    capture.connection().client(request(options=(UserPasswordData(b"alice", PASSWORD),)))
    path = capture.write(tmp_path / "passwords.pcap")
    hidden = tshark.run(path, "-V", *passes) + tshark.run(path, *passes)
    assert hidden.count("Password: hidden (7 octets)") == 2
    assert PASSWORD.decode() not in hidden
    shown = tshark.run(path, "-V", "-o", "socks6.show_passwords:TRUE", *passes)
    assert shown.count("Password: hunter2") == 2


def disordered(capture: Capture) -> None:
    """The same conversation four times: in order, with a swap, with overlaps, and with everything sent twice."""
    (_, asked), (_, replied), _, _, _ = SESSION
    play(capture.connection(), SESSION)
    swapped = capture.connection()
    swapped.at(True, len(asked), GET).at(True, 0, asked)
    swapped.at(False, len(replied), operated()).at(False, 0, replied)
    swapped.at(False, len(replied) + len(operated()), OK)
    again = capture.connection().at(True, 0, asked).at(True, 0, asked)
    again.at(False, 0, replied).at(False, 0, replied).at(False, 0, replied + operated())
    again.at(True, 0, asked + GET).at(True, len(asked), GET)
    again.at(False, len(replied), operated() + OK).at(False, len(replied), operated() + OK)
    opened = capture.connection(handshake=False).opening(asked).server(replied + operated()).client(GET)
    opened.server(OK)


@PASSES
def test_retransmitted_and_disordered_segments_say_the_same(
    tshark: Tshark, tmp_path: Path, passes: tuple[str, ...]
) -> None:
    capture = Capture()
    disordered(capture)
    options = ("-o", "tcp.reassemble_out_of_order:TRUE", *passes)
    streams = tshark.streams(capture.write(tmp_path / "disorder.pcap"), *options)
    in_order = sorted(told(streams[0]))
    for number in range(4):
        assert sorted(told(streams[number])) == in_order


def test_a_connection_between_the_same_ports_is_another_conversation(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    for _ in range(2):
        play(capture.connection(client_port=30000), SESSION).end().end(from_client=True)
    for passes in ((), ("-2",)):
        streams = tshark.streams(capture.write(tmp_path / "again.pcap"), *passes)
        assert told(streams[0]) == told(streams[1])


@pytest.mark.parametrize("option", ["tcp.relative_sequence_numbers:FALSE", "tcp.desegment_tcp_streams:FALSE"])
def test_preferences_of_tcp_do_not_matter_to_whole_messages(tshark: Tshark, tmp_path: Path, option: str) -> None:
    capture = Capture()
    play(capture.connection(), NEGOTIATION)
    path = capture.write(tmp_path / "preferences.pcap")
    assert told(tshark.frames(path, "-o", option)) == told(tshark.frames(path))


def test_frames_can_be_looked_at_in_any_order(tshark: Tshark, tmp_path: Path) -> None:
    """sharkd does what Wireshark does when a user clicks here and there."""
    capture = Capture()
    for name in ("negotiation", "association"):
        turns = CONVERSATIONS[name]
        play(capture.connection(), turns, {number: single_octets(octets) for number, (_, octets) in enumerate(turns)})
    path = capture.write(tmp_path / "any-order.pcap")
    at_home = Tshark(tshark.dissector, tmp_path)
    write_dissector(plugin_path(at_home.plugged_in(*FOLDERS_COMMAND)))
    numbers = list(range(len(capture.frames), 0, -1)) + list(range(1, len(capture.frames) + 1))
    calls = [("load", {"file": str(path)}), *(("frame", {"frame": number, "proto": True}) for number in numbers)]
    asked = "".join(
        json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}) + "\n"
        for number, (method, parameters) in enumerate(calls, 1)
    )
    answers = at_home.plugged_in("sharkd", "-", stdin=asked).splitlines()
    trees = [json.dumps(json.loads(answer)["result"].get("tree")) for answer in answers[1:]]
    half = len(capture.frames)
    assert len(trees) == 2 * half
    assert trees[:half][::-1] == trees[half:]
    assert any('"GET /index' in tree for tree in trees)
    assert any("nfs.example" in tree for tree in trees)
    assert not any("Lua" in tree for tree in trees)


def test_other_versions_and_ports_are_taken_as_told(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    for version, port in ((0xCF, 1080), (0xD4, 8389), (0x63, 1080), (6, 5555)):
        turns = [(from_client, octets.replace(b"\6", bytes((version,)), 1)) for from_client, octets in SESSION[:2]]
        play(capture.connection(port=port), turns)
    path = capture.write(tmp_path / "versions.pcap")
    by_default = tshark.streams(path)
    assert [bool(merged(frames).all("socks6.request.name")) for frames in by_default.values()] == [
        True,
        True,
        False,
        False,
    ]
    told_so = tshark.streams(path, "-o", "socks6.versions:99, 0x7", "-o", "socks6.tcp_ports:1080,5000-6000")
    assert [bool(merged(frames).all("socks6.request.name")) for frames in told_so.values()] == [
        False,
        False,
        True,
        True,
    ]
