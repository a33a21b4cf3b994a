"""What a peer must not send is shown as far as it can be, with the reason; nothing is an error in Lua."""

from __future__ import annotations

from pathlib import Path

import pytest

from codec.address import Address, AddressType
from codec.command import Command
from codec.method import AuthenticationMethod
from codec.socks6 import messages, wire
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import wire as wire04
from codec.socks6.option import Place
from codec.socks6.option_list import encode_options
from codec.socks6.options import AuthenticationMethodSelection
from codec.socks6.stack import Leg, Tos
from tests.codec.dissector.capture import PROXY_PORT, Capture
from tests.codec.dissector.conversations import (
    ACCEPTED,
    CREDENTIALS,
    DATAGRAM,
    DEMAND,
    ID,
    METHODS,
    authenticated,
    operated,
    request,
)
from tests.codec.dissector.tshark import Tshark, merged

pytestmark = pytest.mark.slow

NOBODY = bytes(4)
OFFERED = request(options=(METHODS,))


def raw_request(options: bytes, *, kind: int = 1, address: bytes = NOBODY, length: int | None = None) -> bytes:
    """A CONNECT whose options and address are as given."""
    size = len(options) if length is None else length
    return b"\6\1" + size.to_bytes(2, "big") + b"\0\x09\0" + bytes((kind,)) + address + options


def association(message: bytes) -> tuple[bytes, bytes]:
    return request(Command.UDP_ASSOCIATE), authenticated() + operated() + message


UDP_HEAD = b"\6\3\0\x18" + ID
SELECTION = encode_options((AuthenticationMethodSelection(AuthenticationMethod.GSSAPI),), Place.AUTHENTICATION_REPLY)
TWO_TOS = b"".join(encode_options((Tos(Leg.BOTH, number),), Place.REQUEST) for number in (1, 2))
CASES: dict[str, tuple[bytes, bytes, str]] = {
    "length not a multiple of 4": (raw_request(b"\0\5\0\5\0\0\0\0"), b"", "Option 5 has a bad length of 5"),
    "length without its header": (raw_request(b"\0\5\0\0"), b"", "Option 5 has a bad length of 0"),
    "length beyond the options": (raw_request(b"\0\5\0\x0c\0\0\0\0"), b"", "Option 5 has a bad length of 12"),
    "rest of an option": (raw_request(b"\0\5\0\4\0\5"), b"", "An option is cut off"),
    "too many options": (
        raw_request(b"", length=16388), b"", "16388 octets of options, at most 16384 are allowed",
    ),
    "address type": (raw_request(b"", kind=2), b"", "Unknown address type 2"),
    "empty name": (raw_request(b"", kind=3, address=NOBODY), b"", "A domain name is empty or holds a NUL"),
    "NUL in a name": (raw_request(b"", kind=3, address=b"\3a\0b"), b"", "A domain name is empty or holds a NUL"),
    "misplaced option": (raw_request(SELECTION), b"", "It does not belong in the request"),
    "stack option in an authentication reply": (
        request(), b"\6\0\0\x10" + TWO_TOS, "It does not belong in the authentication reply",
    ),
    "contradiction": (raw_request(TWO_TOS), b"", "It contradicts another one"),
    "leg": (raw_request(b"\0\1\0\x08\x41\2\1\0"), b"", "Not for this leg"),
    "no leg": (raw_request(b"\0\1\0\x08\1\1\1\0"), b"", "Not for this leg"),
    "value": (raw_request(b"\0\1\0\x08\x81\2\3\0"), b"", "Happy eyeballs is 1 to 2"),
    "stack option too short": (raw_request(b"\0\1\0\4"), b"", "It is too short"),
    "stack option too long": (raw_request(b"\0\1\0\x0c\x81\1\3\0\0\0\0\0"), b"", "6 octets where 2 belong"),
    "window too short": (request(), b"\6\0\0\x08\0\x0c\0\x08\0\0\0\1", "4 octets where 8 belong"),
    "empty session ID": (raw_request(b"\0\6\0\4"), b"", "An empty session ID"),
    "advertisement too short": (raw_request(b"\0\2\0\4"), b"", "0 octets where 4 belong"),
    "too much initial data": (raw_request(b"\0\2\0\x08\x40\1\2\0"), b"", "Initial data length is 0 to 16384"),
    "data for no method": (raw_request(b"\0\4\0\x08\0\1\1a"), b"", "Authentication data for no method"),
    "password beyond its option": (
        raw_request(b"\0\4\0\x08\2\1\1a"), b"", "The user name and password do not fit their option",
    ),
    "status beyond its option": (request(), b"\6\0\0\4\0\4\0\4", "Authentication data for no method"),
    "status too long": (
        request(), b"\6\0\0\x10\0\4\0\x10\2\1" + bytes(10), "The status does not fit its option",
    ),
    "another version": (request(), b"\x07", ""),
    "version mismatch": (request(), b"\xcf", "The proxy does not speak the version of the request"),
    "data after a refusal": (request(), authenticated(success=False) + b"more", "unexpected data"),
    "data after a NOOP": (
        wire.encode_request(messages.Request(Command.NOOP, Address(AddressType.IPV4, "0.0.0.0"), 0)) + b"more",
        authenticated(), "unexpected data",
    ),
    "credentials": (OFFERED, DEMAND, ""),
    "cut association": (*association(b"\6\3\0\x0e" + ID + b"\1\0"), "An address is cut off"),
    "association length": (*association(b"\6\1\0\x0d" + ID + b"\0"), "A bad length of 13"),
    "association without a length": (*association(b"\6\1\0\x0b" + ID), "Where this message ends is in doubt"),
    "association type": (*association(b"\6\x09\0\x0c" + ID), "Unknown type 9"),
    "association address": (*association(UDP_HEAD + b"\2\0\0\x09" + bytes(8)), "Unknown address type 2"),
}  # fmt: skip


def test_each_fault_is_named(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    for from_client, from_server, _ in CASES.values():
        capture.connection().client(from_client).server(from_server)
    wrong_credentials = capture.connection().client(OFFERED, b"x" * METHODS.initial_data_length).server(DEMAND)
    wrong_credentials.client(b"\5" + CREDENTIALS[1:])
    for passes in ((), ("-2",)):
        streams = tshark.streams(capture.write(tmp_path / "faults.pcap"), *passes)
        for number, (name, (_, _, expected)) in enumerate(CASES.items()):
            frame = merged(streams[number])
            complaints = frame.complaints
            assert expected in complaints if expected else not frame.complaints, (name, complaints)
            assert frame.one("socks6.request.command") in {"0", "1", "3"}
        credentials = merged(streams[len(CASES)])
        assert "A user name and password start with version 1" in credentials.complaints


def test_the_version_mismatch_of_a_proxy_that_agrees_shows_by_its_end(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    capture.connection().client(request()).end(b"\6")
    capture.connection().client(b"\7" + request()[1:]).server(b"\6")
    for stream in tshark.streams(capture.write(tmp_path / "mismatch.pcap")).values():
        assert "The proxy does not speak the version of the request" in merged(stream).complaints


def test_faults_of_draft_04_are_named_too(tshark: Tshark, tmp_path: Path) -> None:
    plain = messages04.Request(Command.CONNECT, Address.of("192.0.2.7"), 80)
    octets = wire04.encode_request(plain)
    capture = Capture()
    capture.connection().client(octets[:-1] + b"\1\4\1")
    capture.connection().client(octets[:-1] + b"\1\1\2")
    capture.connection().client(b"\xd4" + octets[1:]).server(b"\6\0")
    capture.connection().client(octets[:7] + b"\2" + octets[8:])
    streams = tshark.streams(capture.write(tmp_path / "faults04.pcap"), "-o", "socks6.draft:draft-04")
    said = [merged(stream).complaints for stream in streams.values()]
    assert "Option 4 has a bad length of 1" in said[0]
    assert "It is too short" in said[1]
    assert "The proxy does not speak the version of the request" in said[2]
    assert "Unknown address type 2" in said[3]


def test_udp_faults_are_named(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    capture.datagram(DATAGRAM[:-1]).datagram(DATAGRAM + b"garbage").datagram(b"\6\3\0\x01" + ID)
    capture.datagram(b"\7" + DATAGRAM[1:]).datagram(b"\6\x09" + DATAGRAM[2:]).datagram(b"\6")
    frames = tshark.frames(capture.write(tmp_path / "udp.pcap"))
    assert "The message is longer than its packet: it is to be ignored" in frames[0].complaints
    assert frames[1].one("dns.qry.name") == "nfs.example"
    assert "A bad length of 1" in frames[2].complaints
    assert not any(frame.under("socks6") for frame in frames[3:])


def test_other_protocols_on_the_port_keep_their_dissectors(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    capture.connection(port=PROXY_PORT).client(b"GET /plain HTTP/1.1\r\n\r\n")
    socks5 = capture.connection().client(b"\5\1\0").server(b"\5\0").client(b"\5\1\0\1\xcb\0\x71\7\0\x50")
    socks5.server(b"\5\0\0\1\0\0\0\0\0\0").client(b"GET /five HTTP/1.1\r\n\r\n")
    capture.connection().client(b"\4\1\0\x50\xcb\0\x71\7me\0").server(b"\0\x5a" + bytes(6))
    frames = tshark.frames(capture.write(tmp_path / "others.pcap"))
    shown = merged(frames)
    assert shown.all("http.request.uri") == ["/plain", "/five"]
    assert {"4", "5"} <= set(shown.all("socks.version"))
    assert shown.all("socks.username") == ["me"]
    assert not shown.under("socks6")


def test_replies_without_their_request_are_still_read(tshark: Tshark, tmp_path: Path) -> None:
    capture = Capture()
    capture.connection(handshake=False).server(authenticated() + operated() + b"data", ACCEPTED)
    frames = tshark.frames(capture.write(tmp_path / "late.pcap"))
    assert frames[0].one("socks6.operation_reply.code") == "0"
    assert [frame.one("socks6.data.length") for frame in frames] == ["4", "2"]
