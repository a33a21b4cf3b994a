"""The report in a browser that reaches no network: it draws, zooms, switches subflows, and asks for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chromium import Page, chromium
from tests.traces.products.simulation import S2C, connection, event, trace, transfer
from traces.mptcp.model import EventKind, MapKind
from traces.products.report import report
from traces.products.wanted import Wanted

pytestmark = [pytest.mark.netns, pytest.mark.slow]

PHONE = 390, 844
SHOW_ALL = """(async () => {
  for (const place of document.querySelectorAll("details[open] .plot")) {
    place.scrollIntoView();
    for (let tries = 0; tries < 200 && !place.querySelector(".main-svg"); tries += 1)
      await new Promise((done) => setTimeout(done, 20));
  }
  window.scrollTo(0, 0);
})()"""
DRAWN = (
    "[...document.querySelectorAll('details[open] .plot')].map((place) => place.querySelectorAll('.trace path').length)"
)
SHOWN = """[...document.querySelectorAll("details[open] .plot")].map(
  (place) => place.data.filter((one) => one.visible && one.meta.subflow === %d).length)"""
TIMES = """[...document.querySelectorAll("details[open] .plot")].filter((one) => one.overTime).map(
  (one) => one.layout.xaxis.range)"""
WIDEST = "Math.max(...[...document.querySelectorAll('.plot .main-svg')].map((one) => one.clientWidth))"
TITLES = "[...new Set([...document.querySelectorAll('.modebar-btn')].map((one) => one.dataset.title))]"
SETTLED = "new Promise((done) => setTimeout(done, 300))"
HOSTILE = "</script><script>alert(1)</script><b>lan</b>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One for all tests of this module: each of them opens the report anew."""
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def page(browser: Page, tmp_path: Path) -> Page:
    """A report of two connections, the first with two subflows and an event that is told in markup."""
    first = transfer(150)
    odd = event(5, EventKind.ADD_ADDR, detail=HOSTILE)
    connections = replace(first, events=(*first.events, odd)), transfer(20, number=1, flows=1)
    path = tmp_path / "report.html"
    path.write_text(report(trace(*connections, warnings=[HOSTILE]), connections, Wanted(tmp_path)), encoding="utf-8")
    browser.problems.clear()
    browser.requests.clear()
    browser.resize(1280, 900)
    browser.open(path)
    return browser


def click(page: Page, title: str) -> None:
    """The button of the legend whose text has that in it."""
    assert page.evaluate(f"""(() => {{
      const button = [...document.querySelectorAll("details[open] .legend button")].find(
        (one) => one.textContent.includes("{title}"));
      button.click();
      return true;
    }})()""")


def test_every_plot_is_drawn_without_a_complaint_and_without_a_request(page: Page) -> None:
    page.evaluate(SHOW_ALL)
    drawn = page.evaluate(DRAWN)
    assert len(drawn) == 11
    assert all(count > 0 for count in drawn)
    assert page.evaluate("document.querySelector('.warnings').textContent") == HOSTILE
    assert page.evaluate("document.querySelectorAll('.plot b, .plot script, .plot tspan[style*=bold]').length") == 0
    assert page.screenshot("mptcp-report").stat().st_size > 20_000
    assert page.problems == []
    assert [url.partition(":")[0] for url in page.requests] == ["file"]


def test_a_subflow_is_switched_off_and_on_in_all_plots(page: Page) -> None:
    page.evaluate(SHOW_ALL)
    before, drawn = [page.evaluate(SHOWN % subflow) for subflow in (0, 1)], page.evaluate(DRAWN)
    click(page, "Subflow 0 on wlan0")
    assert page.evaluate(SHOWN % 0) == [0] * len(drawn)
    assert page.evaluate(SHOWN % 1) == before[1]
    fewer = page.evaluate(DRAWN)
    assert all(now < then for now, then, shown in zip(fewer, drawn, before[0], strict=True) if shown)
    click(page, "Subflow 0 on wlan0")
    assert page.evaluate(SHOWN % 0) == before[0]
    assert page.evaluate(DRAWN) == drawn
    assert page.problems == []


def test_marks_are_switched_too(page: Page) -> None:
    page.evaluate(SHOW_ALL)
    click(page, "data ack")
    roles = page.evaluate(
        "[...document.querySelectorAll('.plot')].flatMap((one) => (one.data || []).filter((two) => two.visible))"
        ".map((one) => one.meta.role)"
    )
    assert "data" in roles
    assert "data ack" not in roles


def test_plots_over_time_show_the_same_time(page: Page) -> None:
    page.evaluate(SHOW_ALL)
    at_first = page.evaluate(TIMES)
    assert at_first == at_first[:1] * 10
    page.evaluate("Plotly.relayout(document.querySelector('.plot'), {'xaxis.range': [0.01, 0.02]}).then(() => null)")
    page.evaluate(SETTLED)
    zoomed = page.evaluate(TIMES)
    assert len(zoomed) == 10
    assert all(one == [0.01, 0.02] for one in zoomed)
    assert page.problems == []


def press(page: Page, key: str) -> None:
    """On the first plot."""
    page.evaluate(f"""(async () => {{
      const place = document.querySelector(".plot");
      place.focus();
      if (document.activeElement !== place) throw new Error("it takes no focus");
      place.dispatchEvent(new KeyboardEvent("keydown", {{key: "{key}", bubbles: true, cancelable: true}}));
      await new Promise((done) => setTimeout(done, 100));
    }})()""")


def test_the_keyboard_zooms_and_pans_all_plots_over_time(page: Page) -> None:
    page.evaluate(SHOW_ALL)
    (low, high), *_ = page.evaluate(TIMES)
    press(page, "+")
    assert page.evaluate(TIMES) == [pytest.approx([low + (high - low) / 4, high - (high - low) / 4])] * 10
    press(page, "ArrowRight")
    moved = [low + (high - low) * 3 / 8, high - (high - low) / 8]
    assert page.evaluate(TIMES) == [pytest.approx(moved)] * 10
    press(page, "x")
    assert page.evaluate(TIMES) == [pytest.approx(moved)] * 10
    press(page, "0")
    assert page.evaluate(TIMES) == [[low, high]] * 10
    assert page.problems == []


def test_a_line_of_one_value_shows(browser: Page, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    single = connection([(0, 0, S2C, 0, 100, MapKind.NEW)], duration=0.0)
    path.write_text(report(trace(single), [single], Wanted(tmp_path)), encoding="utf-8")
    browser.problems.clear()
    browser.open(path)
    browser.evaluate(SHOW_ALL)
    assert all(count > 0 for count in browser.evaluate(DRAWN))
    assert browser.problems == []


def test_under_the_pointer_octets_and_microseconds_are_told(page: Page) -> None:
    page.evaluate(SHOW_ALL)
    told = page.evaluate("""(async () => {
      const place = document.querySelector(".plot");
      const number = place.data.findIndex((one) => one.meta.role === "data ack");
      Plotly.Fx.hover(place, [{curveNumber: number, pointNumber: place.data[number].x.length - 1}]);
      await new Promise((done) => setTimeout(done, 200));
      return [...place.querySelectorAll(".hovertext")].map((one) => one.textContent).join();
    })()""")
    assert re.search(r"\(0\.\d{6}, \d{3},\d00\)", told)


def test_another_connection_is_drawn_when_it_is_opened(page: Page) -> None:
    assert page.evaluate("document.querySelectorAll('#connection1 .main-svg').length") == 0
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = one.id === 'connection1'; })")
    page.evaluate(SHOW_ALL)
    assert all(count > 0 for count in page.evaluate(DRAWN))
    assert page.problems == []


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Page) -> None:
    page.evaluate(SHOW_ALL)
    page.resize(*PHONE)
    page.evaluate(SETTLED)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert page.evaluate(WIDEST) <= PHONE[0]
    page.screenshot("mptcp-report-on-a-phone")
    assert page.problems == []


def test_no_button_sends_a_plot_anywhere(page: Page) -> None:
    page.evaluate(SHOW_ALL)
    titles = page.evaluate(TITLES)
    assert sorted(titles) == ["Download plot as a PNG", "Pan", "Reset axes", "Zoom", "Zoom in", "Zoom out"]


def test_a_script_that_is_not_the_reports_own_does_not_run(page: Page) -> None:
    page.evaluate("""(() => {
      const script = document.createElement("script");
      script.textContent = "window.foreign = true";
      document.body.append(script);
    })()""")
    assert page.evaluate("window.foreign") is None
    assert any("Content Security Policy" in problem for problem in page.problems)
