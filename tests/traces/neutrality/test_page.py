"""The page of a judgement, in a browser that reaches no network: it draws, and neither complains nor asks for more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chromium import chromium
from tests.traces.neutrality.simulator import Network, Simulator
from tests.traces.neutrality.test_report import MOBILE, TABLE
from traces.neutrality.judge import Judgement, judge
from traces.neutrality.model import Transfer
from traces.neutrality.page import page

HOSTILE = "</script><script>alert(1)</script><b>web</b>"
DRAWN = "[...document.querySelectorAll('.plot')].map((place) => place.querySelectorAll('.trace path').length)"


def judged() -> Judgement:
    """Names that are markup, where names can come from elsewhere."""
    simulator = Simulator(1)
    web = replace(simulator.target(MOBILE, HOSTILE), table=(*TABLE, replace(TABLE[0], name=HOSTILE)))
    plain = simulator.target(Network(server_mptcp=False), "plain.test:80")
    silent = replace(plain, name="silent.test:80", probes=())
    failing = Transfer(False, False, 0, 0.0, False, HOSTILE, HOSTILE)
    broken = replace(simulator.target(Network(), "broken.test:80"), pairs=((failing, failing),))
    return replace(judge(simulator.measurement(web, plain, silent, broken)), uplink=HOSTILE)


def test_names_are_text_and_nothing_else() -> None:
    text = page(judged())
    assert HOSTILE not in text
    assert text.count("&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;b&gt;web&lt;/b&gt;") == 7


def test_plotly_is_in_it_once_and_nothing_is_fetched() -> None:
    text = page(judged())
    assert text.count("plotly.js v") == 1
    assert 'content="default-src &#39;none&#39;; script-src &#39;sha256-' in text


@pytest.mark.netns
@pytest.mark.slow
def test_every_plot_is_drawn_without_a_complaint_and_without_a_request(tmp_path: Path) -> None:
    path = tmp_path / "neutrality.html"
    path.write_text(page(judged()), encoding="utf-8")
    with chromium(tmp_path) as browser:
        browser.resize(1100, 1500)
        browser.open(path)
        drawn = browser.evaluate(DRAWN)
        assert len(drawn) == 3 + 2 + 2
        assert all(count > 0 for count in drawn)
        assert browser.evaluate("document.querySelector('h2').textContent") == HOSTILE
        assert browser.evaluate("document.querySelectorAll('b').length") == 0
        assert browser.screenshot("neutrality-report").stat().st_size > 20_000
        assert browser.problems == []
        assert {url.partition(":")[0] for url in browser.requests} <= {"file", "data", "blob"}
