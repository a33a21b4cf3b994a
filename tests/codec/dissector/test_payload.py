"""What a tunnel holds shows as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from codec import socks5
from codec.address import Address
from tests.codec.dissector.capture import Capture
from tests.codec.dissector.conversations import GET, NEGOTIATION, QUERY, authenticated, operated, play, request
from tests.codec.dissector.tshark import Tshark, merged

pytestmark = pytest.mark.slow


def test_a_tunnel_through_a_tunnel_shows_both(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    outer = capture.connection().client(request(port=1080)).server(authenticated() + operated())
    play(outer, [*NEGOTIATION, *NEGOTIATION[-2:]])
    for passes in ((), ("-2",)):
        frame = merged(tshark.frames(capture.write(tmp_path / "nested.pcap"), *passes))
        assert frame.all("socks6.request.port") == ["1080", "80"]
        assert frame.all("http.request.uri") == ["/first", "/index", "/index"]
        assert frame.one("socks6.user_password.user") == "alice"


def test_datagrams_of_draft_04_are_those_of_socks_5(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    for host in ("192.0.2.9", "2001:db8::9", "host.example"):
        capture.datagram(socks5.encode_datagram(socks5.Datagram(Address.of(host), 53, QUERY)))
    capture.datagram(socks5.encode_datagram(socks5.Datagram(Address.of("192.0.2.9"), 53, QUERY, 3)))
    capture.datagram(b"\0\0\0\3\xff").datagram(b"\0\0\0\2" + bytes(20)).datagram(b"\0\1\0\1" + bytes(20))
    frames = tshark.frames(capture.write(tmp_path / "udp04.pcap"), "-o", "socks6.draft:draft-04")
    assert [frame.one("socks6.udp.address") for frame in frames[:3]] == ["192.0.2.9", "2001:db8::9", "host.example"]
    assert [frame.one("socks6.udp.port") for frame in frames[:3]] == ["53"] * 3
    assert [frame.all("dns.qry.name") for frame in frames[:4]] == [["nfs.example"]] * 3 + [[]]
    assert [frame.all("socks6.udp.fragment") for frame in frames] == [["0"]] * 3 + [["3"], ["0"]] + [[]] * 2


def test_what_is_on_no_known_port_shows_by_its_first_octets(tshark: Tshark, tmp_path: Path) -> None:
    hello = b"\x16\3\1\0\x2f\1\0\0\x2b\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0\0\0"
    capture = Capture()
    for said, cut in ((GET, 1), (hello, 2), (b"SSH-2.0-test\r\n", 3), (b"anything else", 4)):
        for pieces in ((said,), (said[:cut], said[cut:])):
            play(capture.connection(), [(True, request(port=54321)), (False, authenticated() + operated())]).client(
                *pieces
            )
    for passes in ((), ("-2",)):
        streams = tshark.streams(capture.write(tmp_path / "guesses.pcap"), *passes)
        for number, field in enumerate(("http.request.uri", "tls.handshake.type", "ssh.protocol", "data.data")):
            for way in (0, 1):
                assert merged(streams[2 * number + way]).all(field), (field, way)
