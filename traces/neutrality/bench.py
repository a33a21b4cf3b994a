"""`invoke bench-neutrality`: is the verdict right for each emulated box, again and again?"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lab.context import Lab
from lab.errors import BadInputError
from traces.neutrality.boxes import QUICK, Box, measure_path, standing
from traces.neutrality.judge import JudgedTarget, Judgement, judge
from traces.neutrality.report import aligned, as_json
from traces.neutrality.verdict import Kind

WEB = "web"
"""The server that speaks MPTCP, behind the box: the verdicts on it are the ones to compare."""
EXPECTED: Mapping[Box, frozenset[str]] = {
    Box.STRIPPING: frozenset({"option-stripped@4"}),
    Box.SYN_DROPPING: frozenset({"option-syn-dropped"}),
    Box.INTERCEPTING: frozenset({"intercepted(plain)@3", "rate-differentiated"}),
    Box.LOSSY: frozenset({"transparent"}),
    Box.RATE_LIMITED: frozenset({"transparent"}),
    Box.CLEAN: frozenset({"transparent"}),
}
"""What is to be said of each, in the order of the table; the box is the third router."""
INNOCENT = (Box.LOSSY, Box.RATE_LIMITED, Box.CLEAN)
LEAST_RIGHT = 19 / 20
EXTENT = replace(QUICK, pairs=20)
"""A pair takes a twentieth of a second."""


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement of one path, judged."""

    judgement: Judgement

    @property
    def said(self) -> frozenset[str]:
        """The verdicts on the server behind the box, without why something is inconclusive."""
        verdicts = self._web().verdicts
        return frozenset(str(v.kind if v.kind is Kind.INCONCLUSIVE else v) for v in verdicts)

    @property
    def accuses(self) -> bool:
        """Whether interference is said of any target."""
        return any(verdict.kind.accuses for target in self.judgement.targets for verdict in target.verdicts)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why something is inconclusive."""
        return tuple(f"{v.reason}: {v.evidence}" for v in self._web().verdicts if v.kind is Kind.INCONCLUSIVE)

    def _web(self) -> JudgedTarget:
        return next(target for target in self.judgement.targets if target.name.startswith(WEB))


@dataclass(frozen=True, slots=True)
class Case:
    """All runs of one path."""

    truth: Box
    runs: tuple[Run, ...]

    @property
    def right(self) -> int:
        """Runs with exactly the verdicts that are expected."""
        return sum(run.said == EXPECTED[self.truth] for run in self.runs)

    @property
    def accused(self) -> int:
        """Runs that accuse a path on which nothing interferes."""
        return sum(run.accuses for run in self.runs) if self.truth in INNOCENT else 0

    @property
    def passes(self) -> bool:
        return self.right >= LEAST_RIGHT * len(self.runs) and not self.accused


@dataclass(frozen=True, slots=True)
class Confusion:
    """What was said of each path, against the truth."""

    cases: tuple[Case, ...]

    @property
    def exit_code(self) -> int:
        return int(not all(case.passes for case in self.cases))

    def as_json(self) -> dict[str, Any]:
        """Plain data: the table and, for each run, its whole judgement."""
        return {
            "passes": not self.exit_code,
            "cases": [
                {
                    "truth": case.truth.value,
                    "expected": sorted(EXPECTED[case.truth]),
                    "runs": len(case.runs),
                    "right": case.right,
                    "accused": case.accused,
                    "passes": case.passes,
                    "verdicts": {_joined(said): count for said, count in _counts(case).items()},
                    "judgements": [as_json(run.judgement) for run in case.runs],
                }
                for case in self.cases
            ],
        }

    def lines(self) -> list[str]:
        """The table for a person: a row for each truth, a column for each verdict."""
        columns = list(dict.fromkeys(said for case in self.cases for said in self._columns(case)))
        head = ("truth", *map(_joined, columns), "right")
        rows = [(case.truth.value, *_cells(case, columns), _outcome(case)) for case in self.cases]
        return [*aligned([head, *rows]), *self._remarks()]

    @staticmethod
    def _columns(case: Case) -> Iterator[frozenset[str]]:
        yield EXPECTED[case.truth]
        yield from _counts(case)

    def _remarks(self) -> Iterator[str]:
        for case in self.cases:
            for reason, count in Counter(reason for run in case.runs for reason in run.reasons).items():
                yield f"{case.truth}, {count} times inconclusive: {reason}"


def boxes_named(names: str) -> tuple[Box, ...]:
    """The paths by their short names, separated by commas; all for none. `BadInputError` names those there are."""
    known = {box.name.lower().replace("_", "-"): box for box in EXPECTED}
    wanted = [name.strip() for name in names.split(",")] if names else list(known)
    for name in wanted:
        if name not in known:
            raise BadInputError(f"--box is {name!r}", hint=f"choose from: {', '.join(known)}")
    return tuple(known[name] for name in wanted)


def run_bench_neutrality(lab: Lab, *, runs: int, boxes: Sequence[Box] = tuple(EXPECTED)) -> Confusion:
    """Build each path, and measure and judge it `runs` times. With --dry it is built only, in words."""
    if runs < 1:
        raise BadInputError(f"--runs is {runs}", hint="give 1 or more; 20 tell whether the verdicts hold up")
    cases = []
    with lab.progress.stage("judging emulated networks") as stage:
        for number, box in enumerate(boxes):
            found = []
            with standing(box, lab, f"box{os.getpid()}") as path:
                for run in range(0 if lab.host.dry else runs):
                    stage.tell(box, number * runs + run, len(boxes) * runs)
                    found.append(Run(judge(measure_path(path, 1 + 10 * run, EXTENT))))
            cases.append(Case(box, tuple(found)))
    return Confusion(tuple(cases))


def _counts(case: Case) -> Counter[frozenset[str]]:
    return Counter(run.said for run in case.runs)


def _cells(case: Case, columns: Sequence[frozenset[str]]) -> Iterator[str]:
    counts = _counts(case)
    return (str(counts[said]) if counts[said] else "." for said in columns)


def _outcome(case: Case) -> str:
    accused = f", {case.accused} accused" if case.accused else ""
    return f"{'✓' if case.passes else '✗'} {case.right} of {len(case.runs)}{accused}"


def _joined(said: frozenset[str]) -> str:
    return " + ".join(sorted(said))
