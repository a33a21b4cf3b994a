"""What `check-neutrality` leaves behind and tells: the judgement of each uplink, as text, JSON and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.context import Lab
from traces.neutrality.check import folder_of
from traces.neutrality.judge import Judgement, judge
from traces.neutrality.model import Measurement
from traces.neutrality.page import page
from traces.neutrality.report import as_json, lines


@dataclass(frozen=True, slots=True)
class Outcome:
    """The judgements, and where each uplink's report, measurement and captures are."""

    judgements: tuple[tuple[Judgement, Path], ...]

    def as_json(self) -> Any:
        """The judgement of the uplink, or a list of them when there are several."""
        told = [{**as_json(judgement), "folder": str(folder)} for judgement, folder in self.judgements]
        return told[0] if len(told) == 1 else told

    def lines(self) -> list[str]:
        """All judgements for a person."""
        return [
            line
            for judgement, folder in self.judgements
            for line in (*lines(judgement), f"report: {folder / 'report.html'}; the captures are beside it")
        ]


def judge_all(lab: Lab, measurements: Sequence[Measurement]) -> Outcome:
    """Judge the measurements, and write each report into the uplink's folder."""
    judged = []
    for measurement in () if lab.host.dry else measurements:
        folder = folder_of(lab, measurement.uplink)
        judgement = judge(measurement)
        (folder / "report.html").write_text(page(judgement), encoding="utf-8")
        judged.append((judgement, folder))
    return Outcome(tuple(judged))
