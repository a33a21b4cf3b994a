"""The captures that the project makes itself say what curl counted, and what the box does to TTLs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.traces.mptcp.traces import trace_of
from tests.traces.neutrality.origin import SYNS, TABLE
from traces.inside import UPLINKS
from traces.mptcp.model import Connection, Proof, Trace, Volume
from traces.neutrality.table import LINES, read_row
from traces.reference.make import FOLDER, TRUTH, without
from traces.reference.recipes import LOST, RECIPES, counted

COUNTED: dict[str, dict[str, int]] = json.loads((FOLDER / TRUTH).read_text())


def read(name: str) -> Trace:
    return trace_of(FOLDER / f"{name}.pcapng")


def on(connection: Connection, uplink: str) -> Volume:
    """What went over an uplink, each octet once."""
    (there,) = (subflow for subflow in connection.subflows if uplink in subflow.interfaces)
    return there.unique


def test_every_capture_is_there() -> None:
    assert {path.name for path in FOLDER.glob("*.pcapng")} == set(COUNTED) == {f"{one.name}.pcapng" for one in RECIPES}
    assert {path.stem for path in FOLDER.glob("*.pcap")} == {line.name for line in LINES} == set(TABLE)


@pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES])
def test_connections_carry_what_curl_counted_and_are_proven(name: str) -> None:
    trace = read(name)
    assert len(trace.connections) == (3 if name == "everywhere" else 1)
    for connection in trace.connections:
        told = {"bytes_c2s": connection.bytes.c2s, "bytes_s2c": connection.bytes.s2c}
        assert told == COUNTED[f"{name}.pcapng"]
        assert (connection.version, connection.tokens, connection.fallback) == (1, Proof.RIGHT, "")
        assert [subflow.hmac for subflow in connection.subflows[1:]] == [Proof.RIGHT]


def test_a_download_goes_over_both_uplinks() -> None:
    (connection,) = read("two-uplinks").connections
    shares = [on(connection, uplink).s2c for uplink in UPLINKS.split(",")]
    assert sum(shares) == connection.bytes.s2c
    assert min(shares) > connection.bytes.s2c // 10


def test_each_side_of_a_nat_sees_the_connection() -> None:
    trace = read("everywhere")
    places = [{name for subflow in one.subflows for name in subflow.interfaces} for one in trace.connections]
    assert places == [{"guest:mptcp0", "guest:mptcp1"}, set(UPLINKS.split(",")), {"web:eth0"}]
    assert len({connection.client_token for connection in trace.connections}) == 1
    assert sum("before and after a NAT" in warning for warning in trace.warnings) == len(trace.connections) - 1


def test_what_a_silent_uplink_had_is_reinjected_on_the_other() -> None:
    (connection,) = read("silent-uplink").connections
    lost, kept = sorted(connection.subflows, key=lambda subflow: LOST not in subflow.interfaces)
    assert lost.retransmitted.s2c > 0
    assert kept.reinjected.s2c > 0
    assert lost.unique.s2c + kept.unique.s2c == connection.bytes.s2c


@pytest.mark.parametrize("name", TABLE)
def test_ttls_are_those_of_the_box_and_of_the_servers(name: str) -> None:
    row = read_row(name, FOLDER / f"{name}.pcap")
    assert (row.syn_ttl, row.syn_ack_ttl) == TABLE[name]
    assert row.syns == (1 if row.answered else SYNS)


def test_what_curl_says_last_is_what_counts() -> None:
    assert counted("curl: a warning\n87 245 1500000\n") == (87, 1500245)


def test_nothing_tells_which_machine_made_them() -> None:
    assert without(b"[Linux 6.1-mine][Linux 6.1]", "Linux 6.1-mine", "Linux 6.1") == b"[Linux         ][Linux    ]"


def test_the_readme_tells_of_each() -> None:
    told = Path(FOLDER / "README.md").read_text()
    assert all(f"`{path.name}`" in told for path in FOLDER.glob("*.pcap*"))
