"""Traces as JSON and as text."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.traces.conftest import REPOSITORY, capture, further_capture
from tests.traces.mptcp.conversation import C2S, S2C, Conversation, write
from tests.traces.mptcp.traces import trace_of, trace_of_packets
from traces.__main__ import main
from traces.mptcp.form import as_json, as_lines

BOTH_UPLINKS = [str(capture(f"v1/v1_two_subflows.{itf}.pcap")) for itf in ("wlan", "tether")]


def talk() -> Conversation:
    made = Conversation(seed=3)
    first = made.connect()
    made.data(first, C2S, 500)
    made.reinject(made.join(backup=True), C2S, first)
    made.data(first, S2C, 40)
    made.close()
    return made


class TestJson:
    def test_a_connection(self) -> None:
        made = talk()
        report = json.loads(json.dumps(as_json(trace_of_packets(made.packets))))
        (connection,) = report["connections"]
        said = ("id", "version", "client_token", "server_token", "bytes_c2s", "bytes_s2c")
        assert [connection[name] for name in said] == [0, 1, *made.tokens, 500, 40]
        assert (connection["reinjected_c2s"], connection["reinjected_s2c"]) == (500, 0)
        assert connection["duration"] == pytest.approx(connection["bytes_c2s"] / connection["goodput_c2s"])
        assert (report["tcp_connections"], report["warnings"]) == ([], [])

    def test_its_subflows(self) -> None:
        (connection,) = as_json(trace_of_packets(talk().packets))["connections"]
        first, second = connection["subflows"]
        said = ("id", "src", "sport", "dst", "dport", "backup", "bytes_c2s", "bytes_s2c", "reinjected_c2s")
        assert [first[name] for name in said] == [0, "192.0.2.1", 40000, "198.51.100.8", 80, False, 500, 40, 0]
        assert [second[name] for name in said] == [1, "192.0.2.2", 40001, "198.51.100.8", 80, True, 0, 0, 500]

    def test_its_events(self) -> None:
        (connection,) = as_json(trace_of_packets(talk().packets))["connections"]
        ends = [event for event in connection["events"] if event["kind"] == "DATA_FIN"]
        assert [(event["subflow"], event["direction"], event["detail"]) for event in ends] == [
            (0, "c2s", "after 500 octets"), (0, "s2c", "after 40 octets")
        ]  # fmt: skip

    def test_what_is_unknown_is_null(self) -> None:
        (connection,) = as_json(trace_of(Path(BOTH_UPLINKS[1])))["connections"]
        unknown = ("version", "client_token", "client_key", "server_key", "initial_dsn_c2s", "fallback")
        assert [connection[name] for name in unknown] == [None] * 6
        assert connection["server_token"] == "78c06570"

    def test_plain_tcp(self) -> None:
        (tcp,) = as_json(trace_of(capture("middlebox/mb_proxy_tcp_ttl64.client.pcap")))["tcp_connections"]
        assert (tcp["bytes_c2s"], tcp["bytes_s2c"], tcp["asked"], tcp["syn_ack_ttls"]) == (3000, 5000, None, (128,))


class TestText:
    def test_it_reads_like_mptcptraces_listing(self) -> None:
        lines = list(as_lines(trace_of(*map(Path, BOTH_UPLINKS))))
        assert lines[0] == "MPTCP connection 0 with id 0"
        assert [line for line in lines if line.startswith("\tSubflow")] == [
            "\tSubflow 0 with wscale : 10 10 IPv4 sport 56080 dport 80 saddr 192.168.1.21 daddr 198.51.100.8",
            "\tSubflow 1 with wscale : 10 10 IPv4 sport 51561 dport 80 saddr 192.168.42.204 daddr 198.51.100.8",
        ]

    def test_unanswered_syns_are_counted(self) -> None:
        text = "\n".join(as_lines(trace_of(capture("middlebox/mb_proxy_mptcp_ttl2.client.pcap"))))
        assert "SYN TTL 2 (7 times), unanswered, asked for MPTCP version 1" in text

    @pytest.mark.parametrize(
        ("name", "row"),
        [
            ("nomptcp_ttl10", "SYN TTL 9, SYN-ACK TTL 124"),
            ("mptcp_ttl10", "SYN TTL 9 (5 times), unanswered"),
            ("mptcp_ttl64", "SYN TTL 63, SYN-ACK TTL 51"),
        ],
    )
    def test_the_origins_captures_give_its_table(self, name: str, row: str) -> None:
        assert row in "\n".join(as_lines(trace_of(further_capture(f"seed/{name}.pcap"))))

    def test_warnings_come_last(self) -> None:
        lines = list(as_lines(trace_of(Path(BOTH_UPLINKS[1]))))
        assert [line.startswith("warning: ") for line in lines[-3:]] == [True] * 3

    def test_an_empty_capture(self) -> None:
        assert list(as_lines(trace_of(capture("v1/v1_single.tether.pcap")))) == ["no TCP connection"]


class TestCommandLine:
    def told(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
        code = main(["summary", "--json", *arguments])
        return code, json.loads(capsys.readouterr().out)

    def test_files_are_read_together(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, report = self.told(capsys, *BOTH_UPLINKS)
        assert code == 0
        assert [connection["bytes_c2s"] for connection in report["connections"]] == [1500000]

    def test_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["summary", BOTH_UPLINKS[0]]) == 0
        assert capsys.readouterr().out.startswith("MPTCP connection 0 with id 0\n")

    @pytest.mark.parametrize("octets", [b"", b"GET / HTTP/1.1\r\n\r\n", None], ids=["empty", "something else", "none"])
    def test_what_is_no_capture_is_refused(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, octets: bytes | None
    ) -> None:
        path = tmp_path / "c.pcap"
        if octets is not None:
            path.write_bytes(octets)
        code, report = self.told(capsys, BOTH_UPLINKS[0], str(path))
        assert code == 2
        assert str(path) in report["error"]["what"]

    @pytest.mark.slow
    def test_as_a_program(self, tmp_path: Path) -> None:
        path = write(tmp_path / "c.pcap", talk().packets)
        done = subprocess.run(
            [sys.executable, "-m", "traces", "summary", "--json", str(path)],
            cwd=REPOSITORY, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert len(json.loads(done.stdout)["connections"]) == 1
