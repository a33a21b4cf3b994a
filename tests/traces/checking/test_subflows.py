"""Subflows as the captures show them are those that the kernel told of."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from tests.traces.conftest import capture, further_capture
from tests.traces.mptcp.conversation import ACK, C2S, S2C, SYN, Conversation, Way
from tests.traces.mptcp.traces import trace_of, trace_of_packets
from traces.checking.subflows import Subflow, find_subflows

SERVER = ip_address("198.51.100.8"), 80
TWO = ("v1/v1_two_subflows.wlan.pcap", "v1/v1_two_subflows.tether.pcap")


def subflows(*names: str) -> list[Subflow]:
    return [flow for name in names for flow in find_subflows(name, trace_of(capture(name)))]


def seen(talk: Conversation, *servers: tuple[Any, int]) -> list[Subflow]:
    return find_subflows("wlan1", trace_of_packets(talk.packets), servers)


def ask(talk: Conversation, *options: bytes) -> Way:
    """A SYN with these options over a subflow of its own."""
    way = talk.new_way()
    talk.send(way, C2S, SYN, *options)
    return way


def capable(version: int, key: bytes = b"") -> bytes:
    """An MP_CAPABLE option."""
    return Conversation.option(0, version, b"\x01" + key)


def four_tuple(subflow: Subflow) -> tuple[str, int, str, int]:
    return (str(subflow.client[0]), subflow.client[1], str(subflow.server[0]), subflow.server[1])


def told(truth: dict[str, Any]) -> list[tuple[str, int, str, int]]:
    """The subflows' addresses and ports, as `ip mptcp monitor` told them."""
    (connection,) = truth["connections"].values()
    return [(flow["src"], flow["sport"], flow["dst"], flow["dport"]) for flow in connection["subflows"]]


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
        (connection,) = trace_of(*(capture(file) for file in files)).connections
        assert [connection.client_token] == list(truth[name]["connections"])
        assert {flow.connection for flow in subflows(*files)} == {connection.server_token}


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
        trace = trace_of(capture(f"middlebox/{name}.client.pcap"))
        (connection,) = trace.tcp_connections
        server = ip_address(connection.dst), connection.dport
        (flow,) = find_subflows("wlan1", trace, {server})
        assert (flow.server, flow.version, flow.answered, flow.agreed) == (server, None, True, False)
        assert flow.is_plain
        assert flow.bytes_down > 0
        assert find_subflows("wlan1", trace, {(server[0], server[1] + 1)}) == []

    def test_a_syn_that_never_asked_for_mptcp_is_plain_even_if_nobody_answers(self) -> None:
        talk = Conversation()
        ask(talk)
        (flow,) = seen(talk, SERVER)
        assert (flow.answered, flow.is_plain) == (False, True)

    def test_a_syn_that_asked_for_mptcp_is_plain_when_the_answer_does_not_agree(self) -> None:
        talk = Conversation()
        talk.send(ask(talk, capable(1)), S2C, SYN | ACK)
        (flow,) = seen(talk)
        assert (flow.version, flow.answered, flow.agreed, flow.is_plain) == (1, True, False, True)

    @pytest.mark.parametrize("answered", [True, False])
    def test_nor_does_a_join_whose_answer_has_no_mptcp(self, answered: bool) -> None:
        talk = Conversation()
        way = ask(talk, talk.option(1, 0, b"\x01" + bytes.fromhex("0000bbbb") + bytes(4)))
        if answered:
            talk.send(way, S2C, SYN | ACK)
        (flow,) = seen(talk)
        assert (flow.joins, flow.version, flow.agreed, flow.is_plain) == ("0000bbbb", None, False, answered)

    def test_a_syn_that_is_sent_again_without_the_option_is_the_same_flow(self) -> None:
        talk = Conversation()
        way = ask(talk, capable(1))
        talk.wait(1000)
        talk.send(way, C2S, SYN)
        talk.send(way, S2C, SYN | ACK)
        (flow,) = seen(talk, SERVER)
        assert (flow.version, flow.is_plain) == (1, True)


class TestVersions:
    """Versions 0 (RFC 6824) and 1 (RFC 8684) have different tokens."""

    # Keys as servers sent them, and the tokens with which clients joined them.
    @pytest.mark.parametrize(
        ("version", "key", "token"), [(0, "967d2770b6960552", "e47f0142"), (1, "bbc1858843fa97df", "78c06570")]
    )
    def test_each_has_its_own_hash(self, version: int, key: str, token: str) -> None:
        talk = Conversation()
        way = ask(talk, capable(version, bytes(8) if version == 0 else b""))
        talk.send(way, S2C, SYN | ACK, capable(version, bytes.fromhex(key)))
        (flow,) = seen(talk)
        assert (flow.version, flow.agreed, flow.token) == (version, True, token)

    @pytest.mark.parametrize(("asked", "answered"), [(1, 0), (0, 1), (2, 2)])
    def test_an_answer_in_another_version_and_an_unknown_one_agree_to_nothing(self, asked: int, answered: int) -> None:
        talk = Conversation()
        talk.send(ask(talk, capable(asked)), S2C, SYN | ACK, capable(answered, bytes(8)))
        (flow,) = seen(talk)
        assert (flow.agreed, flow.token, flow.is_plain) == (False, "", True)

    def test_a_subflow_of_version_0_is_found_to_belong_to_its_connection(self) -> None:
        """In a capture that tcpdump's own tests hold."""
        initial, joined = find_subflows("any", trace_of(further_capture("tcpdump/mptcp-v0.pcap")))
        assert initial.agreed
        assert joined.agreed
        assert joined.connection == initial.connection == "e47f0142"


class TestUplinks:
    """Each uplink's capture is analysed by itself."""

    @pytest.mark.parametrize("opener", [C2S, S2C])
    @pytest.mark.parametrize("version", [0, 1])
    def test_who_opened_a_subflow_changes_nothing_of_who_is_the_server(self, version: int, opener: int) -> None:
        talk = Conversation(version)
        talk.data(talk.connect(), C2S, 100)
        talk.data(talk.join(opener=opener), S2C, 70)
        initial, joined = seen(talk)
        assert initial.server == joined.server == SERVER
        assert (initial.bytes_up, initial.bytes_down, joined.bytes_up, joined.bytes_down) == (100, 0, 0, 70)
        assert (initial.connection, joined.connection) == (talk.tokens[1],) * 2

    def test_a_subflow_alone_is_known_by_the_token_that_it_joins(self) -> None:
        talk = Conversation()
        talk.connect()
        begun = len(talk.packets)
        way = talk.join()
        talk.data(way, S2C, 70)
        talk.again(way, S2C)
        (joined,) = find_subflows("wlan1", trace_of_packets(talk.packets[begun:]))
        assert (joined.joins, joined.agreed, joined.version) == (talk.tokens[1], True, None)
        assert joined.bytes_down == 140  # as often as it was sent
