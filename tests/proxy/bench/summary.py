"""What the benchmark found: as a table, as JSON, and as a picture."""

from __future__ import annotations

import io
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.templates import render
from tests.proxy.bench.bars import BARS, median_of, ratio_of
from tests.proxy.bench.contenders import DANTE, DIRECT, Contender
from tests.proxy.bench.rounds import LASTING, Metric, Round

CHART = Path(__file__).with_name("chart.svg.j2")
CHARTED = (
    Metric.CONNECTIONS, Metric.AT_FIRST, Metric.ROUND_TRIPS, Metric.DOWN, Metric.UP, Metric.CONNECTION_CPU,
    Metric.ROUND_TRIP_CPU,
    Metric.DOWN_CPU, Metric.IDLE,
)  # fmt: skip
TABLE_COLUMNS = 150
ENOUGH_ROUNDS = 5
BUSY = 0.5
"""A load average from which on the figures mean little."""


@dataclass(frozen=True, slots=True)
class Summary:
    """All that was measured."""

    contenders: tuple[Contender, ...]
    rounds: tuple[Round, ...]
    seconds: float
    """Of each measurement but that of connections, which takes `LASTING` times as long."""
    load_average: float = 0.0
    """Processes that wanted a processor in the minute before: those of others."""

    @property
    def is_judged(self) -> bool:
        """Whether there are enough rounds to say which bars are met."""
        return len(self.rounds) >= ENOUGH_ROUNDS

    @property
    def exit_code(self) -> int:
        return int(self.is_judged and any(bar.is_missed(self.rounds) for bar in BARS))

    @property
    def reference(self) -> Contender:
        """Whom the table compares with."""
        return DANTE if DANTE in self.contenders else DIRECT

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": {
                "processors": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version(),
                "load_average": self.load_average,
            },
            "seconds": self.seconds,
            "judged": self.is_judged,
            "medians": {
                contender.key: {metric: median_of(self.rounds, metric, contender) for metric in Metric}
                for contender in self.contenders
            },
            "bars": [
                {"bar": bar.title, "reached": bar.reached(self.rounds), "missed": bar.is_missed(self.rounds)}
                for bar in BARS
            ],
            "rounds": self.rounds,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The table, and how the bars stand."""
        text = io.StringIO()
        Console(file=text, width=TABLE_COLUMNS, color_system=None).print(self._table())
        notes: list[str] = []
        if self.load_average > BUSY:
            # Whoever has more processes gets more of what is left: the ratios are those of process counts then.
            notes.append(f"the machine was busy with other work (load average {self.load_average:.1f}): measure again")
        if not self.is_judged:
            return [text.getvalue().rstrip(), *notes, f"not judged: that takes {ENOUGH_ROUNDS} rounds"]
        return [text.getvalue().rstrip(), *notes, "", *(bar.line(self.rounds) for bar in BARS)]

    def chart(self) -> str:
        """An SVG with a panel of bars for each of the more telling metrics."""
        panels = [(metric, self._bars(metric)) for metric in CHARTED]
        return render(CHART, autoescape=True, panels=panels, caption=self._caption())

    def _caption(self) -> str:
        lasting = f"{self.seconds:g} s ({self.seconds * LASTING:g} s for connections)"
        return (
            f"Medians of {len(self.rounds)} rounds of {lasting} on {os.cpu_count()} processors; "
            f"in brackets the median ratio to {self.reference.title}"
        )

    def _table(self) -> Table:
        table = Table(caption=self._caption())
        table.add_column("")
        for contender in self.contenders:
            table.add_column(contender.title, justify="right", no_wrap=True)
        for metric in Metric:
            table.add_row(metric, *(self._cell(metric, contender) for contender in self.contenders))
        return table

    def _cell(self, metric: Metric, contender: Contender) -> str:
        value = median_of(self.rounds, metric, contender)
        if value is None:
            return ""
        ratio = ratio_of(self.rounds, metric, contender, self.reference)
        return _figure(value) if ratio is None else f"{_figure(value)} ({ratio:.2f} x)"

    def _bars(self, metric: Metric) -> Sequence[tuple[str, str, float]]:
        """Title, figure and share of the longest bar, for each contender that has the metric."""
        values = [(contender.title, median_of(self.rounds, metric, contender)) for contender in self.contenders]
        known = [(title, value) for title, value in values if value is not None]
        longest = max((value for _, value in known), default=0.0) or 1.0
        return [(title, _figure(value), value / longest) for title, value in known]


def _figure(value: float) -> str:
    """Three digits or more, thousands apart."""
    return f"{value:.3g}" if 0 < value < 100 else f"{value:,.0f}".replace(",", " ")
