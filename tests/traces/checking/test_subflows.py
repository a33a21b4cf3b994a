"""Subflows as the captures show them are those that the kernel told of."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.conftest import capture, further_capture
from traces.checking.subflows import Subflow, find_subflows, mptcp_options, server_token
from traces.mptcp.options import Subtype
from traces.reading.rows import ACK, SYN, Segment, read_segments

CLIENT, SERVER = (ip_address("192.168.1.21"), 40000), (ip_address("198.51.100.8"), 80)
TWO = ("v1/v1_two_subflows.wlan.pcap", "v1/v1_two_subflows.tether.pcap")


def subflows(*names: str) -> list[Subflow]:
    return [flow for name in names for flow in find_subflows(name, read_segments(capture(name)))]


def four_tuple(subflow: Subflow) -> tuple[str, int, str, int]:
    return (str(subflow.client[0]), subflow.client[1], str(subflow.server[0]), subflow.server[1])


def told(truth: dict[str, Any]) -> list[tuple[str, int, str, int]]:
    """The subflows' addresses and ports, as `ip mptcp monitor` told them."""
    (connection,) = truth["connections"].values()
    return [(flow["src"], flow["sport"], flow["dst"], flow["dport"]) for flow in connection["subflows"]]


def key_exchange(name: str) -> tuple[bytes, bytes]:
    """The client's and the server's key, from the ACK of the initial handshake, which carries both."""
    for segment in read_segments(capture(name)):
        for subtype, option in mptcp_options(segment.options):
            if subtype == Subtype.MP_CAPABLE and len(option) >= 20 and not segment.is_syn_ack:
                return option[4:12], option[12:20]
    raise AssertionError("no key exchange")


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("v1_single", ("v1/v1_single.wlan.pcap", "v1/v1_single.tether.pcap")),
        ("v1_ipv6", ("v1/v1_ipv6.wlan.pcap", "v1/v1_ipv6.tether.pcap")),
        ("v1_two_subflows", TWO),
        ("mb_clean_mptcp", ("middlebox/mb_clean_mptcp.client.pcap",)),
        ("mb_proxy_mptcp_ttl64", ("middlebox/mb_proxy_mptcp_ttl64.client.pcap",)),
    ],
)
class TestAgainstTheTruth:
    def test_addresses_ports_and_agreement(self, truth: dict[str, Any], name: str, files: tuple[str, ...]) -> None:
        found = subflows(*files)
        assert [four_tuple(flow) for flow in found] == told(truth[name])
        assert all(flow.agreed for flow in found)
        assert [bool(flow.joins) for flow in found] == [False] + [True] * (len(found) - 1)

    def test_octets_each_way_are_those_that_the_peers_counted(
        self, truth: dict[str, Any], name: str, files: tuple[str, ...]
    ) -> None:
        found = subflows(*files)
        # On the wire, so a retransmission would count twice; in these captures there is none.
        assert sum(flow.bytes_up for flow in found) == truth[name]["bytes_c2s"]
        assert sum(flow.bytes_down for flow in found) == truth[name]["bytes_s2c"]

    def test_all_belong_to_one_connection_by_the_servers_token(
        self, truth: dict[str, Any], name: str, files: tuple[str, ...]
    ) -> None:
        client_key, server_key = key_exchange(files[0])
        assert [server_token(client_key)] == list(truth[name]["connections"])
        assert {flow.connection for flow in subflows(*files)} == {server_token(server_key)}


def test_each_uplink_carried_its_part() -> None:
    wlan, tether = subflows(*TWO)
    assert (wlan.uplink, tether.uplink) == TWO
    assert min(wlan.bytes_up, tether.bytes_up) > 500_000


@pytest.mark.parametrize("kind", ["single", "ipv6"])
@pytest.mark.parametrize("side", ["client", "server"])
def test_both_ends_saw_the_same(kind: str, side: str) -> None:
    (uplink,) = subflows(f"v1/v1_{kind}.wlan.pcap")
    (end,) = subflows(f"v1/v1_{kind}.{side}.pcap")
    assert (end.token, end.bytes_up, end.bytes_down) == (uplink.token, uplink.bytes_up, uplink.bytes_down)


@pytest.mark.parametrize("name", ["mb_clean_tcp", "mb_proxy_tcp_ttl2", "mb_proxy_tcp_ttl64"])
def test_plain_tcp_has_no_subflows(name: str) -> None:
    assert subflows(f"middlebox/{name}.client.pcap") == []


def test_a_syn_that_nobody_answers_is_a_subflow_that_was_not_agreed() -> None:
    (flow,) = subflows("middlebox/mb_proxy_mptcp_ttl2.client.pcap")
    assert (flow.answered, flow.agreed, flow.token, flow.connection, flow.bytes_down) == (False, False, "", "", 0)
    assert not flow.is_plain


class TestPlainTcp:
    @pytest.mark.parametrize("name", ["mb_clean_tcp", "mb_proxy_tcp_ttl2", "mb_proxy_tcp_ttl64"])
    def test_to_a_server_that_is_asked_about_counts_as_not_agreed(self, name: str) -> None:
        segments = list(read_segments(capture(f"middlebox/{name}.client.pcap")))
        (server,) = {segment.destination for segment in segments if segment.is_syn}
        (flow,) = find_subflows("wlan1", segments, {server})
        assert (flow.server, flow.version, flow.answered, flow.agreed) == (server, None, True, False)
        assert flow.is_plain
        assert flow.bytes_down > 0
        assert find_subflows("wlan1", segments, {(server[0], server[1] + 1)}) == []

    def test_a_syn_that_never_asked_for_mptcp_is_plain_even_if_nobody_answers(self) -> None:
        (flow,) = find_subflows("wlan1", [segment(SYN)], {SERVER})
        assert (flow.answered, flow.is_plain) == (False, True)

    def test_a_syn_that_asked_for_mptcp_is_plain_when_the_answer_does_not_agree(self) -> None:
        (flow,) = find_subflows("wlan1", [segment(SYN, capable(1)), segment(SYN | ACK)])
        assert (flow.answered, flow.agreed, flow.is_plain) == (True, False, True)

    def test_nor_does_a_join_whose_answer_has_no_mptcp(self) -> None:
        join = bytes([30, 12, 0x10, 1]) + bytes(8)
        (flow,) = find_subflows("wlan1", [segment(SYN, join), segment(SYN | ACK)])
        assert (flow.joins, flow.agreed, flow.is_plain) == ("00000000", False, True)

    def test_a_syn_that_is_sent_again_without_the_option_is_the_same_flow(self) -> None:
        (flow,) = find_subflows("wlan1", [segment(SYN, capable(1)), segment(SYN), segment(SYN | ACK)], {SERVER})
        assert (flow.version, flow.is_plain) == (1, True)


class TestVersions:
    """Versions 0 (RFC 6824) and 1 (RFC 8684) have different tokens."""

    # Keys as servers sent them, and the tokens with which clients joined them.
    @pytest.mark.parametrize(
        ("version", "key", "token"), [(0, "967d2770b6960552", "e47f0142"), (1, "bbc1858843fa97df", "78c06570")]
    )
    def test_each_has_its_own_hash(self, version: int, key: str, token: str) -> None:
        answer = segment(SYN | ACK, capable(version, bytes.fromhex(key)))
        (flow,) = find_subflows("wlan1", [segment(SYN, capable(version)), answer])
        assert (flow.version, flow.agreed, flow.token) == (version, True, token)

    @pytest.mark.parametrize(("asked", "answered"), [(1, 0), (0, 1), (2, 2)])
    def test_an_answer_in_another_version_and_an_unknown_one_agree_to_nothing(self, asked: int, answered: int) -> None:
        answer = segment(SYN | ACK, capable(answered, bytes(8)))
        (flow,) = find_subflows("wlan1", [segment(SYN, capable(asked)), answer])
        assert (flow.agreed, flow.token, flow.is_plain) == (False, "", True)

    def test_a_subflow_of_version_0_is_found_to_belong_to_its_connection(self) -> None:
        """In a capture that tcpdump's own tests hold."""
        initial, joined = find_subflows("any", read_segments(further_capture("tcpdump/mptcp-v0.pcap")))
        assert initial.agreed
        assert joined.agreed
        assert joined.connection == initial.connection == "e47f0142"


def segment(flags: int, options: bytes = b"") -> Segment:
    """What the client sends, or with ACK what the server does."""
    ends = (SERVER, CLIENT) if flags & ACK else (CLIENT, SERVER)
    return Segment(*ends, ttl=64, flags=flags, options=options, payload=0)


def capable(version: int, key: bytes = b"") -> bytes:
    """An MP_CAPABLE option."""
    return bytes([30, 4 + len(key), version, 1]) + key


class TestOptions:
    def test_mptcp_options_are_picked_from_among_the_others(self) -> None:
        join = bytes([30, 12, 0x10, 1]) + bytes(8)
        options = bytes([2, 4, 5, 180, 1, 1]) + join + bytes([30, 4, 0x20, 0, 0, 30, 4])
        assert list(mptcp_options(options)) == [(Subtype.MP_JOIN, join), (Subtype.DSS, options[18:22])]

    @pytest.mark.parametrize("cut", [bytes([30]), bytes([30, 0, 0]), bytes([30, 1, 0]), bytes([30, 12, 0x10, 0])])
    def test_a_malformed_one_ends_the_list(self, cut: bytes) -> None:
        assert list(mptcp_options(bytes([1, 30, 4, 0x20, 0]) + cut)) == [(Subtype.DSS, bytes([30, 4, 0x20, 0]))]

    @given(st.binary(max_size=40))
    def test_no_options_break_the_reader(self, options: bytes) -> None:
        for subtype, option in mptcp_options(options):
            assert 0 <= subtype <= 15
            assert option in options

    @given(st.binary(max_size=40), st.sampled_from([0x02, 0x12, 0x10]))
    def test_nor_the_search_for_subflows(self, options: bytes, flags: int) -> None:
        (sent,) = list(read_segments(capture("v1/v1_single.wlan.pcap")))[:1]
        one = Segment(sent.source, sent.destination, 64, flags, options, 10)
        assert len(find_subflows("any", [one])) <= 1
        assert len(find_subflows("any", [one], {one.destination})) == (1 if one.is_syn else 0)
