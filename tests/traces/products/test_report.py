"""The report as text: what is in it, that it escapes what comes from captures, and that it allows no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.traces.products.simulation import connection, event, subflow, trace, transfer
from tests.traces.products.tiny import tiny
from traces.mptcp.model import Connection, EventKind, TcpConnection, Trace, Volume
from traces.products.plot import Product
from traces.products.report import report
from traces.products.wanted import Wanted

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&<b>"
WANTED = Wanted(Path("plots"))


class Reader(HTMLParser):
    """The elements of a page, its text, and what each script holds."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._script: dict[str, str | None] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = dict(attrs) if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._script = None if tag == "script" else self._script

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.text += data
        else:
            self.scripts.append(data)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag]


def read(*connections: Connection, wanted: Wanted = WANTED, **fields: Any) -> Reader:
    return Reader(report(trace(*connections, **fields), connections, wanted))


def plots_of(page: Reader) -> list[dict[str, Any]]:
    return [plot for script in page.scripts if script.startswith("[") for plot in json.loads(script)]


def hostile() -> Trace:
    flow = subflow(0, interfaces=(HOSTILE,))
    told = [event(1, EventKind.ADD_ADDR, detail=HOSTILE)]
    odd = replace(tiny(subflows=[flow, subflow(1)], fallback=HOSTILE), events=tuple(told))
    return trace(odd, warnings=[HOSTILE])


def test_what_comes_from_a_capture_is_text_and_nothing_else() -> None:
    made = hostile()
    page = Reader(report(made, made.connections, WANTED))
    harmless = Reader(report(trace(tiny(), warnings=["plain"]), [tiny()], WANTED))
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in harmless.tags}
    assert len(page.attributes("script")) == len(harmless.attributes("script")) == 3
    assert not any(name.startswith("on") for _, found in page.tags for name in found)
    # In the warnings, the connection's row, its subflow's row, its legend, and its event's row.
    assert page.text.count(HOSTILE) == 5
    assert any(HOSTILE in moment[-1] for plot in plots_of(page) for moment in plot["moments"])


def test_data_hold_no_markup() -> None:
    made = hostile()
    page = Reader(report(made, made.connections, WANTED))
    (data,) = (script for script in page.scripts if script.startswith("["))
    assert not set("<>&") & set(data)


def test_only_its_own_scripts_may_run_and_nothing_may_be_fetched() -> None:
    page = read(tiny())
    (policy,) = (
        found["content"] for found in page.attributes("meta") if found.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    runnable = [script for script in page.scripts if not script.startswith("[")]
    assert allowed == {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in runnable}
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert not any("http" in source for source in policy.split())


def test_nothing_in_it_is_elsewhere() -> None:
    page = read(tiny())
    assert not [found for _, found in page.tags for name in ("src", "href", "action", "srcset") if name in found]


def test_tables_show_connections_subflows_events_and_plain_tcp() -> None:
    tcp = TcpConnection(0, "10.0.0.1", 1234, "10.0.0.2", 80, 0.0, 1.0, (9, 9), (), 1, False, Volume())
    page = read(tiny(), tcp=[tcp], warnings=["packet 7 is cut off"])
    for words in ("0a0b0c0d", "192.168.1.2", "wlan1", "id 2, 192.0.2.1", "10.0.0.1", "9 9", "packet 7 is cut off"):
        assert words in page.text
    assert "192.168.0.2:40000 → 203.0.113.10:80" in page.text


def test_each_plot_has_its_place_and_its_data() -> None:
    page = read(tiny(), transfer(30, number=1), wanted=replace(WANTED, products=(Product.SEQUENCE, Product.RTT)))
    places = [found["id"] for found in page.attributes("div") if found.get("class") == "plot"]
    assert places == ["connection0-s2c-seq", "connection0-s2c-rtt", "connection1-s2c-seq", "connection1-s2c-rtt"]
    assert len(plots_of(page)) == len(places)
    acks, first = (plots_of(page)[0]["series"][at] for at in (0, 2))
    assert acks["role"] == "data ack"  # beneath the data
    assert (first["name"], first["subflow"], first["colour"]) == ("subflow 0, data", 0, "#0072B2")
    assert (first["x"], first["y"], first["top"]) == ([0.00025], [0], [100])


def test_a_large_trace_is_thinned_and_says_so() -> None:
    page = read(transfer(20_000), wanted=replace(WANTED, points=500))
    assert max(len(series["x"]) for plot in plots_of(page) for series in plot["series"]) <= 500
    assert "values shown: the extremes of each short interval; CSV and xplot.org's files have all." in page.text


def test_many_connections_share_what_a_report_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [transfer(400, number=number) for number in range(5)]

    def most() -> int:
        return max(len(series["x"]) for plot in plots_of(read(*many)) for series in plot["series"])

    assert most() > 200
    monkeypatch.setattr("traces.products.report.MOST_VALUES", 10_000)
    assert most() <= 100


def test_long_tables_are_cut_and_say_so() -> None:
    told = [event(time, EventKind.MP_PRIO) for time in range(1200)]
    page = read(connection(events=told))
    assert "1000 of 1200 rows shown" in page.text


def test_a_connection_of_which_little_is_known_is_told() -> None:
    page = read(connection(version=None, subflows=[], client_token="", initial_dsn=(None, None)))
    assert "MPTCP of unknown version, no subflow" in page.text


def test_a_trace_without_mptcp_needs_no_scripts() -> None:
    page = read()
    assert "MPTCP connections: 0." in page.text
    assert not page.scripts


def test_where_all_is_plain_tcp_its_table_is_open() -> None:
    tcp = [TcpConnection(0, "10.0.0.1", 1234, "10.0.0.2", 80, 0.0, 1.0, (9, 9), (), 1, False, Volume())]
    assert read(tcp=tcp).attributes("details") == [{"open": None}]
    assert [found for found in read(tiny(), tcp=tcp).attributes("details") if "class" not in found] == [{}]


def test_it_says_which_captures_it_is_of() -> None:
    page = read(tiny(), wanted=replace(WANTED, files=("a.pcap", HOSTILE)))
    assert f"From a.pcap, {HOSTILE}." in page.text


def test_the_legend_says_what_each_mark_is_and_numbers_have_their_units() -> None:
    page = read(tiny())
    for words in (
        "▼retransmitted",
        "▲reinjected",
        "◇data ack",
        "Subflow 1 on wlan1: ",
        "duration (s)",
        "handshake (ms)",
    ):
        assert words in page.text
    assert "20.000" in page.text


def test_events_of_several_subflows_at_a_time_are_beside_each_other() -> None:
    told = [event(5, EventKind.DATA_FIN, number) for number in (0, 1)]
    (plot,) = plots_of(read(connection(events=told)))
    first, second = (series["y"][0] for series in plot["series"])
    assert (round(first), round(second)) == (0, 0)
    assert first > second
