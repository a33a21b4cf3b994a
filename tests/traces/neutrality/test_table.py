"""Lines of the origin's table, read from captures."""

from __future__ import annotations

import json

import pytest

from lab.errors import MpsocksError
from tests.traces.conftest import capture, further_capture
from traces.__main__ import main
from traces.neutrality.table import read_row


@pytest.mark.parametrize(
    ("name", "syn_ttl", "syn_ack_ttl", "syns"),
    [("nomptcp_ttl10", 9, 124, 1), ("mptcp_ttl10", 9, None, 5), ("mptcp_ttl64", 63, 51, 1)],
)
def test_the_captures_of_the_origin_give_its_table(name: str, syn_ttl: int, syn_ack_ttl: int | None, syns: int) -> None:
    row = read_row(name, further_capture(f"seed/{name}.pcap"))
    assert (row.name, row.syn_ttl, row.syn_ack_ttl, row.answered) == (
        name,
        syn_ttl,
        syn_ack_ttl,
        syn_ack_ttl is not None,
    )
    assert row.syns == syns


@pytest.mark.parametrize(
    ("name", "syn_ttl", "syn_ack_ttl"),
    [
        ("mb_clean_tcp", 64, 62),
        ("mb_proxy_tcp_ttl2", 2, 128),
        ("mb_proxy_mptcp_ttl2", 2, None),
        ("mb_proxy_mptcp_ttl64", 64, 62),
    ],
)
def test_a_box_in_the_way_shows(name: str, syn_ttl: int, syn_ack_ttl: int | None) -> None:
    row = read_row(name, capture(f"middlebox/{name}.client.pcap"))
    assert (row.syn_ttl, row.syn_ack_ttl, row.answered) == (syn_ttl, syn_ack_ttl, syn_ack_ttl is not None)
    assert (row.octets > 0) == row.answered
    assert (row.seconds > 0) == row.answered


def test_octets_are_those_that_the_server_sent_however_often() -> None:
    row = read_row("mb_clean_tcp", capture("middlebox/mb_clean_tcp.client.pcap"))
    assert row.octets == 5000


def test_a_capture_without_a_syn_says_that_the_uplink_was_not_used() -> None:
    with pytest.raises(MpsocksError, match="shows no SYN"):
        read_row("nothing", capture("v1/v1_single.tether.pcap"))


ORIGIN = """\
capture        SYN TTL     SYN-ACK TTL  rate
nomptcp_ttl10  9           124
mptcp_ttl10    9, 5 times  unanswered
mptcp_ttl64    63          51
"""


def test_the_text_of_the_captures_of_the_origin_is_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("nomptcp_ttl10", "mptcp_ttl10", "mptcp_ttl64")
    assert main(["table", *(str(further_capture(f"seed/{name}.pcap")) for name in names)]) == 0
    assert capsys.readouterr().out == ORIGIN


def test_the_table_is_there_as_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "--json", str(capture("middlebox/mb_proxy_tcp_ttl2.client.pcap"))]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["name"], row["syn_ttl"], row["syn_ack_ttl"]) == ("mb_proxy_tcp_ttl2.client", 2, 128)
