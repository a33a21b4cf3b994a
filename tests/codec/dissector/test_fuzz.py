"""Mutated, cut and disordered packets by the thousand: nothing is an error in Lua."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from codec.socks6 import udp
from tests.codec.dissector.capture import Capture
from tests.codec.dissector.conversations import (
    ASSOCIATION,
    CONVERSATIONS,
    DATAGRAM,
    FALSE_START,
    ID,
    NEGOTIATION,
    NEGOTIATION_04,
    Turns,
    authenticated,
    operated,
    play,
    request,
)
from tests.codec.dissector.tshark import Tshark

pytestmark = pytest.mark.slow


def mutations(seed: int, count: int) -> Iterator[Turns]:
    """Conversations with octets changed, lost, added, and cut at random."""
    chance = random.Random(seed)
    known = [*CONVERSATIONS.values(), NEGOTIATION_04]
    for _ in range(count):
        turns: Turns = []
        for from_client, octets in chance.choice(known):
            changed = bytearray(octets)
            for _ in range(chance.choice((0, 0, 1, 1, 2, 8))):
                place = chance.randrange(len(octets))
                changed[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
            if chance.random() < 0.05:
                changed = bytearray(b"\6" + chance.randbytes(chance.randrange(40)))
            cut = chance.randrange(len(changed) + 1)
            turns += [(from_client, bytes(piece)) for piece in (changed[:cut], changed[cut:]) if piece]
        yield turns


def fuzzed(seed: int, connections: int, datagrams: int) -> Capture:
    """Many of them, some with segments lost or disordered, and datagrams of the same quality."""
    chance = random.Random(seed)
    capture = Capture()
    for turns in mutations(seed, connections):
        connection = capture.connection(handshake=chance.random() < 0.5)
        places = {True: 0, False: 0}
        for from_client, octets in turns:
            if chance.random() < 0.97:
                connection.at(from_client, places[from_client], octets)
            places[from_client] += len(octets)
        if chance.random() < 0.1:
            capture.frames[-2:] = capture.frames[-2:][::-1]
    for _ in range(datagrams):
        message = bytearray(DATAGRAM + udp.encode_udp(udp.AssociationInit(ID)))
        message[chance.randrange(len(message))] = chance.randrange(256)
        capture.datagram(bytes(message[: chance.randrange(len(message))]), from_client=chance.random() < 0.5)
    return capture


@pytest.mark.parametrize("draft", ["draft-11", "draft-04"])
@pytest.mark.parametrize("passes", [(), ("-2",)], ids=["one pass", "two passes"])
def test_no_octets_are_an_error_in_lua(tshark: Tshark, tmp_path: Path, draft: str, passes: tuple[str, ...]) -> None:
    capture = fuzzed(seed=6, connections=1500, datagrams=300)
    path = capture.write(tmp_path / "fuzzed.pcap")
    options = ("-o", f"socks6.draft:{draft}", "-o", "socks6.show_passwords:TRUE", "-o", "socks6.any_port:TRUE")
    assert "SOCKSv6" in tshark.run(path, "-V", "-O", "socks6", *options, *passes)


@pytest.mark.parametrize("snap_length", [57, 64, 78, 110])
def test_packets_that_were_cut_are_no_error(tshark: Tshark, tmp_path: Path, snap_length: int) -> None:
    capture = fuzzed(seed=snap_length, connections=100, datagrams=50)
    for turns in (FALSE_START, NEGOTIATION, ASSOCIATION):
        play(capture.connection(), turns)
    path = capture.write(tmp_path / "cut.pcap", snap_length=snap_length)
    text = tshark.run(path, "-V", "-O", "socks6", "-2")
    assert "[Malformed Packet: SOCKSv6]" not in text
    assert snap_length < 60 or "The capture, or what was reassembled, ends before the message does" in text


@pytest.mark.parametrize("option", ["tcp.desegment_tcp_streams:TRUE", "tcp.desegment_tcp_streams:FALSE"])
def test_exceptions_of_the_dissectors_inside_do_not_add_up(tshark: Tshark, tmp_path: Path, option: str) -> None:
    """A few hundred that leave through Lua would be the end of every dissector in Lua."""
    chance = random.Random(7)
    capture = Capture()
    for _ in range(400):
        for port in (53, 80, 443, 1883):
            connection = capture.connection().client(request(port=port)).server(authenticated() + operated())
            connection.client(b"\x01\x01" + chance.randbytes(80)).server(
                b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"
            )
    path = capture.write(tmp_path / "exceptions.pcap", snap_length=100)
    assert "The capture ends before the data do" in tshark.run(path, "-V", "-O", "socks6", "-o", option)
