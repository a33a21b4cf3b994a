"""Long fuzzing runs, each of which goes on from the inputs that earlier ones found: `invoke fuzz`."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from lab.cache import make_folder
from lab.context import Lab
from lab.errors import BadInputError, MpsocksError
from lab.progress import Progress, Stage
from tests.fuzzing.subject import Subject

ROOT = Path(__file__).parents[2]
SLOW_SECONDS = 10
"""An input that takes longer is a finding: nothing takes more than linear time, or nearly so."""
QUOTED_LINES = 25
ROUND_SECONDS = 180
"""Then the fuzzer begins anew: it never frees the arrays that instrumented code compares."""

_STATUS = re.compile(r"#(?P<executions>\d+)\s.*\bcov: (?P<coverage>\d+) .*\bcorp: (?P<corpus>\d+)")
_EXECUTIONS = re.compile(r"stat::number_of_executed_units: (\d+)")
_FOUND = "Uncaught Python exception"
_SAVED = re.compile(r"Test unit written to (.+)")


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that breaks its subject: where it was saved, the command that tries it again, what it showed."""

    file: str
    command: str
    shown: str


@dataclass(slots=True)
class Campaign:
    """What a run has done. `coverage` counts branches of the subject, `corpus` the inputs that reach new ones."""

    executions: int = 0
    coverage: int = 0
    corpus: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def add(self, later: Campaign) -> None:
        """Count in what a later run did, which went on from the same corpus."""
        self.executions += later.executions
        self.coverage, self.corpus = later.coverage, later.corpus
        self.seconds += later.seconds
        self.findings += later.findings

    @property
    def exit_code(self) -> int:
        """1 when something was found."""
        return 1 if self.findings else 0

    def as_json(self) -> dict[str, Any]:
        """The result for machines."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The result for people."""
        counts = f"{self.executions} executions in {self.seconds:.0f} s, coverage {self.coverage}, corpus {self.corpus}"
        shown = [line for finding in self.findings for line in ("", finding.shown, f"again: {finding.command}")]
        return [f"{counts}, findings {len(self.findings)}", *shown]


def is_available() -> bool:
    """Whether atheris is installed; it has wheels for CPython 3.11 to 3.13 on x86-64 Linux."""
    return importlib.util.find_spec("atheris") is not None


def run_fuzz(lab: Lab, subject: Subject, minutes: float) -> Campaign:
    """Fuzz for so long, or until the first finding. `lab`'s cache keeps the inputs and the findings."""
    if minutes <= 0:
        raise BadInputError(f"{minutes:g} minutes to fuzz", hint="give a number above 0, such as --minutes 10")
    folder = lab.cache.root / "fuzz" / subject.name
    campaign, left = Campaign(), max(1, round(minutes * 60))
    while left > 0 and not campaign.findings:
        seconds = min(left, ROUND_SECONDS)
        options = (f"-max_total_time={seconds}",)
        if lab.host.dry:
            print(shlex.join(_argv(subject, folder, options)))
        else:
            campaign.add(fuzz(subject, folder, options, lab.progress, seconds=seconds))
        left -= seconds
    return campaign


def fuzz(
    subject: Subject, folder: Path, options: Sequence[str], progress: Progress, *, seconds: float = 0, root: Path = ROOT
) -> Campaign:
    """Run atheris with `options` of libFuzzer's over the inputs in `folder`.

    `root` holds the folders to run; `seconds` is how long it is expected to take, 0 for unknown.
    """
    if not is_available():
        raise MpsocksError(
            f"the {subject.name} cannot be fuzzed by coverage here: atheris is missing",
            hint="run it by CPython 3.11 to 3.13 on x86-64 Linux, in an environment made by ./inv;\n"
            "the tests fuzz without coverage anywhere: invoke test --fast --only fuzz",
        )
    _prepare(subject, folder)
    campaign = Campaign()
    started = time.monotonic()
    with progress.stage(f"fuzz the {subject.name}") as stage, _started(_argv(subject, folder, options), root) as run:
        assert run.stdout is not None
        try:
            shown = _follow(subject, run.stdout, campaign, stage, seconds)
        except BaseException:
            run.terminate()
            raise
    campaign.seconds = time.monotonic() - started
    if run.returncode and not campaign.findings:
        raise MpsocksError(f"the fuzzer ended with code {run.returncode}", why="\n".join(shown))
    return campaign


def _prepare(subject: Subject, folder: Path) -> None:
    """Make the folders, and put in the seeds that are not there yet."""
    for name in ("corpus", "findings"):
        make_folder(folder / name)
    for number, data in enumerate(subject.seeds()):
        (folder / "corpus" / f"seed-{number:03}").write_bytes(data)


def _argv(subject: Subject, folder: Path, options: Iterable[str]) -> list[str]:
    limits = (f"-timeout={SLOW_SECONDS}", f"-max_len={subject.largest_input}", "-print_final_stats=1")
    artifacts = f"-artifact_prefix={folder / 'findings'}/"
    return [
        sys.executable,
        "-m",
        "tests.fuzzing.process",
        subject.name,
        *limits,
        artifacts,
        *options,
        str(folder / "corpus"),
    ]


def _started(argv: list[str], root: Path) -> subprocess.Popen[str]:
    # What the octets look like as text is up to the fuzzer.
    return subprocess.Popen(
        argv, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )  # fmt: skip


def _follow(subject: Subject, output: Iterable[str], campaign: Campaign, stage: Stage, seconds: float) -> list[str]:
    """Read what the fuzzer tells until it ends. Returns the last lines that are not counts."""
    started = time.monotonic()
    shown: deque[str] = deque(maxlen=QUOTED_LINES)
    for line in output:
        if status := _STATUS.match(line):
            campaign.executions, campaign.coverage, campaign.corpus = (int(count) for count in status.groups())
            note = f"{campaign.executions} executions, coverage {campaign.coverage}, corpus {campaign.corpus}"
            stage.tell(note, int(time.monotonic() - started), round(seconds))
        elif total := _EXECUTIONS.match(line):
            campaign.executions = int(total[1])
        elif saved := _SAVED.search(line):
            command = shlex.join([sys.executable, "-m", "tests.fuzzing", subject.name, saved[1]])
            campaign.findings.append(Finding(saved[1], command, "\n".join(takewhile(_is_of_python, shown))))
        elif _FOUND in line:
            shown.clear()
        else:
            shown.append(line.rstrip())
    return list(shown)


def _is_of_python(line: str) -> bool:
    """Whether a line of a finding is of its traceback; libFuzzer's own, behind it, start with `==PID==`."""
    return not line.startswith("==")
