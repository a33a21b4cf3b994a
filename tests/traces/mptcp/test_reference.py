"""The reference captures give what the peers counted, the kernel told, and other programs print."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.traces.conftest import capture, further_capture
from tests.traces.mptcp.traces import trace_of
from traces.mptcp.model import Connection, Direction, EventKind, Proof, Subflow, Trace, Volume

NAMES = ("v1_single", "v1_ipv6", "v1_two_subflows", "mb_clean_mptcp", "mb_proxy_mptcp_ttl64")
BOTH_UPLINKS = [f"v1/v1_two_subflows.{itf}.pcap" for itf in ("wlan", "tether")]


def at_client(name: str) -> Trace:
    folder = "v1" if name.startswith("v1") else "middlebox"
    return trace_of(capture(f"{folder}/{name}.client.pcap"))


def identity(subflow: Subflow) -> tuple[str, int, str, int, int | None, int | None, bool | None]:
    return (
        subflow.src, subflow.sport, subflow.dst, subflow.dport, subflow.local_id, subflow.remote_id, subflow.backup,
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
class TestAgainstTheTruth:
    def test_octets_each_way_as_the_peers_counted_them(self, truth: dict[str, Any], name: str) -> None:
        (connection,) = at_client(name).connections
        assert connection.bytes == Volume(truth[name]["bytes_c2s"], truth[name]["bytes_s2c"])

    def test_tokens_and_subflows_as_the_kernel_told_them(self, truth: dict[str, Any], name: str) -> None:
        (connection,) = at_client(name).connections
        assert [connection.client_token] == list(truth[name]["connections"])
        (told,) = truth[name]["connections"].values()
        assert [identity(subflow) for subflow in connection.subflows] == [
            (one["src"], one["sport"], one["dst"], one["dport"], one["locid"], one["remid"], bool(one["backup"]))
            for one in told["subflows"]
        ]

    def test_hashes_prove_it(self, name: str) -> None:
        trace = at_client(name)
        (connection,) = trace.connections
        assert (connection.version, connection.tokens, connection.fallback) == (1, Proof.RIGHT, "")
        assert all(subflow.hmac is Proof.RIGHT for subflow in connection.subflows[1:])
        assert trace.warnings == ()

    def test_every_octet_went_over_one_subflow(self, name: str) -> None:
        (connection,) = at_client(name).connections
        for way in ("c2s", "s2c"):
            assert sum(getattr(subflow.unique, way) for subflow in connection.subflows) == getattr(
                connection.bytes, way
            )


@pytest.mark.parametrize("name", ["mb_clean_tcp", "mb_proxy_tcp_ttl2", "mb_proxy_tcp_ttl64"])
def test_plain_tcp_is_told_apart(truth: dict[str, Any], name: str) -> None:
    trace = at_client(name)
    (tcp,) = trace.tcp_connections
    assert (trace.connections, tcp.asked, tcp.answered, tcp.fallback) == ((), None, True, "")
    assert tcp.bytes == Volume(truth[name]["bytes_c2s"], truth[name]["bytes_s2c"])


def test_a_connection_that_nobody_answers_is_none() -> None:
    trace = at_client("mb_proxy_mptcp_ttl2")
    (tcp,) = trace.tcp_connections
    assert (trace.connections, tcp.asked, tcp.answered) == ((), 1, False)
    assert (set(tcp.syn_ttls), tcp.syn_ack_ttls) == ({2}, ())


class TestSeveralFiles:
    def same(self, one: Connection, other: Connection) -> None:
        for connection in (one, other):
            assert connection.bytes == Volume(1500000, 5000)
        assert [identity(subflow) for subflow in one.subflows] == [identity(subflow) for subflow in other.subflows]
        assert [subflow.unique for subflow in one.subflows] == [subflow.unique for subflow in other.subflows]
        assert [subflow.rtt_median for subflow in one.subflows] == [subflow.rtt_median for subflow in other.subflows]
        assert (one.duration, one.events) == (other.duration, other.events)
        for part in ("mappings", "acks", "rtts"):
            for column in getattr(one, part).__slots__:
                assert (getattr(getattr(one, part), column) == getattr(getattr(other, part), column)).all()

    def test_given_apart_or_merged_they_say_the_same(self) -> None:
        (apart,) = trace_of(*map(capture, BOTH_UPLINKS)).connections
        (merged,) = at_client("v1_two_subflows").connections
        self.same(apart, merged)
        assert [subflow.interfaces for subflow in apart.subflows] == [
            ("v1_two_subflows.wlan",), ("v1_two_subflows.tether",)
        ]  # fmt: skip

    def test_in_any_order(self) -> None:
        (one,) = trace_of(*map(capture, BOTH_UPLINKS)).connections
        (other,) = trace_of(*map(capture, reversed(BOTH_UPLINKS))).connections
        self.same(one, other)

    @pytest.mark.parametrize("others", [BOTH_UPLINKS, ["v1/v1_two_subflows.client.pcap"]], ids=["uplinks", "merge"])
    def test_the_other_end_adds_nothing(self, others: list[str]) -> None:
        """Every packet is in both captures, and counts once, as it was at the client."""
        (both,) = trace_of(capture("v1/v1_two_subflows.server.pcap"), *map(capture, others)).connections
        (client,) = at_client("v1_two_subflows").connections
        self.same(both, client)

    def test_one_uplink_alone_lacks_the_handshake_of_the_connection(self) -> None:
        trace = trace_of(capture("v1/v1_two_subflows.tether.pcap"))
        (connection,) = trace.connections
        assert (connection.version, connection.server_token, connection.client_token) == (None, "78c06570", "")
        assert connection.subflows[0].hmac is Proof.UNKNOWN
        assert connection.initial_dsn == (None, None)
        assert any("handshake is missing" in warning for warning in trace.warnings)
        assert any("initial DSN" in warning for warning in trace.warnings)


class TestTheOriginsCaptures:
    """Three cases on a 4G uplink whose network answers plain TCP itself."""

    @pytest.mark.parametrize(
        ("name", "syn_ttls", "syn_ack_ttls", "asked"),
        [("nomptcp_ttl10", (9,), (124,), None), ("mptcp_ttl10", (9,) * 5, (), 0)],
    )
    def test_the_table_of_ttls(
        self, name: str, syn_ttls: tuple[int, ...], syn_ack_ttls: tuple[int, ...], asked: int | None
    ) -> None:
        trace = trace_of(further_capture(f"seed/{name}.pcap"))
        (tcp,) = trace.tcp_connections
        assert (tcp.syn_ttls, tcp.syn_ack_ttls, tcp.asked) == (syn_ttls, syn_ack_ttls, asked)
        assert (trace.connections, trace.warnings) == ((), ())

    def test_mptcp_reaches_the_server(self) -> None:
        trace = trace_of(further_capture("seed/mptcp_ttl64.pcap"))
        (connection,) = trace.connections
        (subflow,) = connection.subflows
        assert (subflow.syn_ttls, subflow.syn_ack_ttls) == ((63,), (51,))
        assert (connection.version, connection.tokens, connection.bytes) == (0, Proof.RIGHT, Volume(125, 315))
        assert (connection.checksums, connection.checksums_right, connection.checksums_wrong) == (True, 4, 0)
        assert [event.detail for event in connection.events if event.kind is EventKind.ADD_ADDR] == [
            "id 2, 10.0.2.15", "id 3, 10.66.6.2", "id 8, 2001:6a8:308f:8:0:82ff:fe68:e48c"
        ]  # fmt: skip


def printed(name: str) -> str:
    """What tcpdump prints of one of its own captures."""
    return further_capture(f"tcpdump/{name}.out").read_text()


class TestAgainstTcpdump:
    def test_version_0_with_two_subflows(self) -> None:
        trace = trace_of(further_capture("tcpdump/mptcp-v0.pcap"))
        (connection,) = trace.connections
        keys = re.findall(r"capable v0 .*\{0x(\w+),0x(\w+)\}", printed("mptcp-v0"))
        assert [(connection.client_key, connection.server_key)] == [keys[0]]
        assert connection.server_token in printed("mptcp-v0")
        assert [subflow.hmac for subflow in connection.subflows] == [Proof.UNKNOWN, Proof.RIGHT]
        assert trace.warnings == ()

    @pytest.mark.parametrize("name", ["mptcp-v0", "mptcp-fclose", "mptcp-v1"])
    def test_every_octet_of_payload_is_in_a_mapping(self, name: str) -> None:
        (connection,) = trace_of(further_capture(f"tcpdump/{name}.pcap")).connections
        payload = sum(int(length) for length in re.findall(r"length (\d+)(?:: .*)?$", printed(name), re.MULTILINE)
                      if "ARP" not in length) - 28 * printed(name).count("ARP")  # fmt: skip
        assert connection.mappings.length.sum() == payload

    def test_checksums_of_whole_payloads_are_right(self) -> None:
        (connection,) = trace_of(further_capture("tcpdump/mptcp-v0.pcap")).connections
        told = re.findall(r"dss.* seq (\d+) subseq (\d+) len (\d+) csum", printed("mptcp-v0"))
        assert (connection.checksums_right, connection.checksums_wrong) == (len(set(told)), 0)

    def test_a_fast_close_names_the_key_of_its_receiver(self) -> None:
        (connection,) = trace_of(further_capture("tcpdump/mptcp-fclose.pcap")).connections
        (close,) = [event for event in connection.events if event.kind is EventKind.FASTCLOSE]
        assert (close.detail, connection.bytes) == ("key right", Volume(1, 1))

    def test_a_malformed_option_is_told_of(self) -> None:
        trace = trace_of(further_capture("tcpdump/mptcp-dss-oobr.pcap"))
        assert trace.connections == ()
        assert any("DSS has a length that does not fit its flags" in warning for warning in trace.warnings)


class TestAddresses:
    """A server that announces its second address and takes it back; both peers agreed to checksums."""

    def connection(self) -> Connection:
        trace = trace_of(*(capture(f"v1/v1_addresses.{itf}.pcap") for itf in ("x1", "x2")))
        assert trace.warnings == ()
        (connection,) = trace.connections
        return connection

    def test_the_timeline_of_addresses(self) -> None:
        addresses = {EventKind.ADD_ADDR, EventKind.ADD_ADDR_ECHO, EventKind.REMOVE_ADDR}
        told = [(event.kind, event.direction, event.detail) for event in self.connection().events]
        assert [event for event in told if event[0] in addresses] == [
            (EventKind.ADD_ADDR, Direction.S2C, "id 5, 10.9.2.2, HMAC right"),
            (EventKind.ADD_ADDR_ECHO, Direction.C2S, "id 5, 10.9.2.2"),
            (EventKind.REMOVE_ADDR, Direction.S2C, "id 5"),
        ]

    def test_the_subflow_to_the_announced_address(self) -> None:
        _, second = self.connection().subflows
        assert (second.dst, second.remote_id, second.hmac, second.opener) == ("10.9.2.2", 5, Proof.RIGHT, Direction.C2S)

    def test_every_checksum_is_right(self) -> None:
        connection = self.connection()
        assert (connection.checksums, connection.checksums_wrong, connection.bytes) == (True, 0, Volume(5500, 900))
        assert connection.checksums_right >= 5


class TestReinjections:
    """One path that lost everything for a while; the numbers were counted octet by octet, without this project."""

    def connection(self) -> Connection:
        trace = trace_of(*(capture(f"v1/v1_reinjected.{itf}.pcap") for itf in ("x1", "x2")))
        assert trace.warnings == ()
        (connection,) = trace.connections
        return connection

    def test_what_was_sent_again_and_how(self) -> None:
        first, second = self.connection().subflows
        kinds = ("unique", "retransmitted", "reinjected", "reinjected_same")
        assert [getattr(first, kind).c2s for kind in kinds] == [2985336, 0, 15664, 10600]
        assert [getattr(second, kind).c2s for kind in kinds] == [15664, 4272, 0, 0]

    def test_it_counts_once_as_data(self) -> None:
        connection = self.connection()
        assert (connection.bytes, connection.reinjected) == (Volume(3001000, 0), Volume(15664, 0))
