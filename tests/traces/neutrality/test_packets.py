"""The octets of SYNs, and what is read out of packets that answer: tshark and octets from a wire are the judges."""

from __future__ import annotations

import json
import struct
import subprocess
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from traces.neutrality.model import Arm
from traces.neutrality.prober.packets import (
    ARM_OPTIONS,
    Flow,
    checksum,
    fingerprint,
    option_list,
    parse_segment,
    reset,
    syn,
)

FLOW4 = Flow(ip_address("192.0.2.1"), 61000, ip_address("198.51.100.7"), 80)
FLOW6 = Flow(ip_address("2001:db8::1"), 61000, ip_address("2001:db8:7::7"), 443)
SYN_ACK = bytes.fromhex(
    "45000048000040003e0650b7c6336408c0a801150050eb4ea57c1b6c5c9090ced012fe88ec330000"
    "020405b40402080a3dc1bbd4ce4762170103030a1e0c01010e493d9a797af9fc"
)
"""Of a server that speaks MPTCP, from tests/captures/middlebox/mb_proxy_mptcp_ttl64.client.pcap."""


def raw_pcap(packets: list[bytes]) -> bytes:
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    return head + b"".join(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet for packet in packets)


def as_tshark_reads(packets: list[bytes], folder: Path) -> list[dict[str, list[str]]]:
    fields = (
        "ip.ttl", "ipv6.hlim", "ip.checksum.status", "tcp.checksum.status", "tcp.flags.str", "tcp.window_size_value",
        "tcp.option_kind", "tcp.options.mptcp.version", "tcp.options.mss_val", "tcp.hdr_len", "_ws.malformed",
    )  # fmt: skip
    (folder / "probes.pcap").write_bytes(raw_pcap(packets))
    done = subprocess.run(
        ["tshark", "-r", str(folder / "probes.pcap"), "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
         "-T", "json", *(word for name in fields for word in ("-e", name))],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [packet["_source"]["layers"] for packet in json.loads(done.stdout)]


def test_tshark_finds_every_syn_in_order(tmp_path: Path) -> None:
    sent = [(flow, arm) for flow in (FLOW4, FLOW6) for arm in Arm]
    read = as_tshark_reads([syn(flow, arm, 9, 12345) for flow, arm in sent], tmp_path)
    for (flow, arm), layers in zip(sent, read, strict=True):
        assert layers["ip.ttl" if flow is FLOW4 else "ipv6.hlim"] == ["9"]
        assert layers["tcp.checksum.status"] == ["1"], f"{arm}: a checksum that is wrong never arrives"
        assert flow is FLOW6 or layers["ip.checksum.status"] == ["1"]
        kinds = {Arm.PLAIN: [], Arm.V1: ["30"], Arm.V0: ["30"], Arm.DUMMY: ["253"]}[arm]
        assert layers["tcp.option_kind"] == ["2", "4", "8", "1", "3", *kinds]
        assert layers.get("tcp.options.mptcp.version") == {Arm.V1: ["1"], Arm.V0: ["0"]}.get(arm)
        assert (layers["tcp.options.mss_val"], layers["tcp.window_size_value"]) == (["1460"], ["64240"])
        assert layers["tcp.flags.str"] == ["··········S·"]
        assert "_ws.malformed" not in layers


def test_arms_differ_in_nothing_but_what_they_carry() -> None:
    plain, *others = [syn(FLOW4, arm, 9, 12345) for arm in Arm]
    for arm, packet in zip(list(Arm)[1:], others, strict=True):
        assert packet[4:10] == plain[4:10]  # identification, fragmentation, TTL, protocol
        assert packet[12:32] == plain[12:32]  # addresses, ports, sequence and acknowledgement numbers
        assert packet[33:36] == plain[33:36]  # flags, window
        assert packet[40:] == plain[40:] + ARM_OPTIONS[arm]


def test_the_unknown_option_is_as_long_as_that_of_version_1() -> None:
    assert len(ARM_OPTIONS[Arm.DUMMY]) == len(ARM_OPTIONS[Arm.V1]) == 4


def test_a_reset_ends_what_the_syn_ack_acknowledged() -> None:
    segment = parse_segment(reset(FLOW4, 64, 777))
    assert segment is not None
    assert (segment.flags, segment.sequence, segment.options) == (0x04, 777, b"")


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("0001f203f4f5f6f7", 0x220D),  # the example of RFC 1071 section 3
        ("ff", 0x00FF),
        ("", 0xFFFF),
    ],
)
def test_the_checksum_is_that_of_rfc_1071(octets: str, expected: int) -> None:
    assert checksum(bytes.fromhex(octets)) == expected


def test_the_fingerprint_of_a_syn_ack() -> None:
    segment = parse_segment(SYN_ACK)
    assert segment is not None
    reply = fingerprint(segment)
    assert (reply.ttl, reply.window, reply.mss, reply.scale) == (62, 65160, 1460, 10)
    assert reply.options == (2, 4, 8, 1, 3, 30)
    assert reply.timestamps
    assert reply.mptcp


def test_a_join_is_no_mp_capable() -> None:
    segment = parse_segment(SYN_ACK[:-12] + bytes.fromhex("1e0c1101a1b2c3d4e5f60718"))
    assert segment is not None
    assert not fingerprint(segment).mptcp


def test_own_packets_are_read_back() -> None:
    for flow in (FLOW4, FLOW6):
        segment = parse_segment(syn(flow, Arm.V1, 17, 99))
        assert segment is not None
        assert (segment.source, segment.destination, segment.ttl) == (flow.source, flow.target, 17)
        assert (segment.source_port, segment.destination_port) == (flow.port, flow.target_port)


def test_what_is_cut_off_is_no_segment() -> None:
    whole = syn(FLOW4, Arm.V1, 17, 99)
    assert [parse_segment(whole[:length]) for length in range(len(whole))] == [None] * len(whole)


def options_of(text: str) -> list[Any]:
    return [kind for kind, _ in option_list(bytes.fromhex(text))]


def test_options_are_read_as_far_as_they_are_well_formed() -> None:
    assert options_of("0101 1e0401") == [1, 1]  # longer than there is
    assert options_of("020405b4 0300 01") == [2]  # a length of 0 leads nowhere
    assert options_of("01 00 00") == [1, 0, 0]
