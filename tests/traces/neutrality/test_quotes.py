"""ICMP errors, and what a quote tells of who changed a SYN on its way."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from traces.neutrality.model import Answer, Arm, Quote
from traces.neutrality.prober.packets import Flow, syn
from traces.neutrality.prober.quotes import IcmpError, compare, parse_error

ROUTER4, ROUTER6 = ip_address("203.0.113.1"), ip_address("2001:db8:99::1")
FLOW4 = Flow(ip_address("192.0.2.1"), 61000, ip_address("198.51.100.7"), 80)
FLOW6 = Flow(ip_address("2001:db8::1"), 61000, ip_address("2001:db8:7::7"), 443)
SENT = syn(FLOW4, Arm.V1, 5, 0x01020304)


def icmp4(quoted: bytes, kind: int = 11) -> bytes:
    total = 28 + len(quoted)
    header = struct.pack("!BBHHHBBH", 0x45, 0, total, 1, 0, 60, 1, 0) + ROUTER4.packed + FLOW4.source.packed
    return header + struct.pack("!BBHI", kind, 0, 0, 0) + quoted


def icmp6(quoted: bytes, kind: int = 3) -> bytes:
    header = struct.pack("!IHBB", 6 << 28, 8 + len(quoted), 58, 60) + ROUTER6.packed + FLOW6.source.packed
    return header + struct.pack("!BBHI", kind, 0, 0, 0) + quoted


def quote_of(octets: bytes, sent: bytes = SENT) -> Quote:
    error = parse_error(octets)
    assert isinstance(error, IcmpError)
    return compare(sent, error)


def patched(packet: bytes, at: int, octets: str) -> bytes:
    new = bytes.fromhex(octets)
    return packet[:at] + new + packet[at + len(new) :]


def test_what_every_router_changes_is_no_change() -> None:
    quoted = patched(patched(SENT, 8, "01"), 10, "abcd")  # TTL, header checksum
    assert quote_of(icmp4(quoted)) == Quote("203.0.113.1", (), has_options=True)


def test_the_eight_octets_that_rfc_792_asks_for_show_no_options() -> None:
    assert quote_of(icmp4(SENT[:28])) == Quote("203.0.113.1", (), has_options=False)


@pytest.mark.parametrize(
    ("at", "octets", "name"),
    [
        (1, "b8", "type of service"),
        (4, "ffff", "identification"),
        (6, "0000", "fragmentation"),
        (12, "0a000001", "source address"),
        (16, "0a000001", "destination address"),
        (24, "ffffffff", "sequence number"),
        (28, "00000001", "acknowledgement number"),
        (33, "c2", "flags"),
        (34, "0400", "window"),
        (38, "0001", "urgent pointer"),
    ],
)
def test_each_field_of_the_headers_is_named(at: int, octets: str, name: str) -> None:
    assert quote_of(icmp4(patched(SENT, at, octets))).changed == (name,)


def test_an_option_that_became_padding_is_named_and_nothing_else() -> None:
    assert quote_of(icmp4(SENT[:-4] + b"\1" * 4)).changed == ("option 30",)


def test_an_option_that_was_cut_out_makes_the_packet_shorter() -> None:
    shorter = patched(SENT[:-4], 2, f"{len(SENT) - 4:04x}")
    assert quote_of(icmp4(patched(shorter, 32, "a0"))).changed == ("total length", "option 30")


def test_another_value_of_an_option_is_a_change_of_it() -> None:
    assert SENT[40:44] == bytes.fromhex("020405b4")
    assert quote_of(icmp4(patched(SENT, 42, "0500"))).changed == ("option 2",)


def test_another_order_of_options_is_one_change() -> None:
    swapped = SENT[:40] + bytes.fromhex("0402 020405b4") + SENT[46:]
    assert quote_of(icmp4(swapped)).changed == ("order of options",)


def test_what_a_router_appends_behind_the_datagram_is_left_out() -> None:
    """RFC 4884: padded with zeros to 128 octets, extensions behind."""
    padded = SENT + bytes(128 - len(SENT)) + bytes.fromhex("2000abcd0008010100001f41")
    assert quote_of(icmp4(padded)) == Quote("203.0.113.1", (), has_options=True)


def test_ipv6_is_quoted_just_so() -> None:
    sent = syn(FLOW6, Arm.V1, 5, 1)
    assert quote_of(icmp6(patched(sent, 7, "01")), sent) == Quote("2001:db8:99::1", (), has_options=True)
    assert quote_of(icmp6(patched(sent, 0, "6b80")), sent).changed == ("traffic class",)
    assert quote_of(icmp6(sent[:-4] + b"\1" * 4), sent).changed == ("option 30",)


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (icmp4(SENT), Answer.TIME_EXCEEDED),
        (icmp4(SENT, kind=3), Answer.UNREACHABLE),
        (icmp6(syn(FLOW6, Arm.V1, 5, 1)), Answer.TIME_EXCEEDED),
        (icmp6(syn(FLOW6, Arm.V1, 5, 1), kind=1), Answer.UNREACHABLE),
    ],
)
def test_errors_are_known_by_their_type(octets: bytes, answer: Answer) -> None:
    error = parse_error(octets)
    assert error is not None
    assert error.answer is answer
    assert error.ports[0] == 61000


def test_what_is_no_error_about_tcp_is_none() -> None:
    echo, udp = icmp4(SENT, kind=8), icmp4(patched(SENT, 9, "11"))
    assert [parse_error(octets) for octets in (echo, udp, SENT, b"", icmp4(SENT[:23]))] == [None] * 5


def test_octets_at_random_are_read_without_an_error() -> None:
    """Every beginning of an error, and every octet of it turned over."""
    whole = icmp4(SENT)
    spoilt = [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(len(whole))]
    for octets in (*spoilt, *(whole[:length] for length in range(len(whole)))):
        error = parse_error(octets)
        if error:
            compare(SENT, error)
