"""Short runs of the fuzzer, and proof that it finds what is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codec import server, socks4, socks5
from codec.errors import NEED_DATA
from codec.server import ServerConnection
from codec.socks6 import wire
from lab.errors import BadInputError, MpsocksError
from lab.progress import Progress
from lab.runner import Runner
from tests.codec.fuzz.target import TARGET
from tests.conftest import lab_on
from tests.fuzzing import __main__ as again
from tests.fuzzing import campaign
from tests.fuzzing.campaign import Campaign, Finding
from tests.fuzzing.mutations import search
from tests.fuzzing.subject import CODEC, Check, Subject, Target

SEEDS = list(CODEC.seeds())
BY_COVERAGE = pytest.mark.skipif(not campaign.is_available(), reason="atheris has no wheel for this platform")


def test_changed_seeds_break_nothing() -> None:
    finding = search(TARGET, SEEDS, runs=4000)
    if finding is not None:
        raise AssertionError(TARGET.describe(finding.data)) from finding.error


@BY_COVERAGE
@pytest.mark.slow
def test_a_short_run_guided_by_coverage_finds_nothing(tmp_path: Path) -> None:
    result = campaign.fuzz(CODEC, tmp_path, ("-runs=5000", "-seed=1"), Progress())
    assert not result.findings, "\n".join(result.lines())
    assert result.executions >= 5000
    assert result.coverage > 500
    assert result.corpus > 100
    assert result.exit_code == 0


@BY_COVERAGE
@pytest.mark.slow
def test_a_run_saves_what_it_finds_and_shows_it(tmp_path: Path) -> None:
    root = tmp_path / "project"
    for name in ("codec", "tests"):
        shutil.copytree(campaign.ROOT / name, root / name)
    broken = root / "codec" / "socks5.py"
    right = "if len(data) < 2 or len(data) < 2 + data[1]:"
    assert right in broken.read_text()
    broken.write_text(broken.read_text().replace(right, "if not data or len(data) < 2 + data[1]:"))
    result = campaign.fuzz(CODEC, tmp_path, ("-runs=5000", "-seed=1"), Progress(), root=root)
    (finding,) = result.findings
    assert result.exit_code == 1
    assert "IndexError" in "\n".join(result.lines())
    assert finding.file in finding.command
    assert "socks5-greeting 05" in TARGET.describe(Path(finding.file).read_bytes())


def off_by_one(find_end: Callable[[bytes], int]) -> Callable[[bytes], int]:
    return lambda data: max(0, find_end(data) - 1)


DEFECTS: dict[str, tuple[Any, str, Any, str]] = {
    "a crash on a message": (wire, "decode_address", lambda _, data, *__: data[2**20], "out of range"),
    "a crash in a conversation": (server, "_socks4_reply", lambda code, *_: code[0], "not subscriptable"),
    "an end that is off by one": (socks5, "_message_end", off_by_one(socks5._message_end), "sent on it becomes"),
    "a loss on the way": (wire, "encode_options", lambda *_: b"", "sent on it becomes"),
    "a message without end": (socks4, "_find_nul", lambda data, start, *_: data.find(0, start), "it waits"),
    "octets that are forgotten": (ServerConnection, "_gather", lambda _, data: data, "split it is"),
    "octets that are kept forever": (ServerConnection, "_decode", lambda *_: (NEED_DATA, None), "it waits"),
    "data that come twice": (ServerConnection, "leftover", lambda self: bytes(self._buffer), "handed over twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, attribute, broken, message = DEFECTS[name]
    monkeypatch.setattr(owner, attribute, broken)
    finding = search(TARGET, SEEDS, runs=4000)
    assert finding is not None
    assert message in str(finding.error)


def test_changes_are_the_same_every_time() -> None:
    tried: list[bytes] = []

    def remembering(number: int) -> Check:
        return lambda data: tried.append(bytes((number,)) + data)

    target = Target({name: remembering(number) for number, name in enumerate(TARGET.names)})
    search(target, SEEDS, runs=100)
    search(target, SEEDS, runs=100)
    first, second = tried[: len(tried) // 2], tried[len(tried) // 2 :]
    assert first == second
    assert len(set(first)) > len(set(SEEDS)) + 80


def test_the_seeds_try_everything() -> None:
    assert {TARGET.names[data[0]] for data in SEEDS} == set(TARGET.names)


def test_a_finding_can_be_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "crash-1"
    file.write_bytes(TARGET.make_input("socks5-greeting", bytes.fromhex("050100")))
    again.main("codec", str(file))
    assert capsys.readouterr().out == "socks5-greeting 050100\n"


@BY_COVERAGE
@pytest.mark.slow
def test_a_campaign_goes_on_from_the_inputs_of_the_last_one(here: Runner, tmp_path: Path) -> None:
    lab = lab_on(here, tmp_path)
    corpus = lab.cache.root / "fuzz" / "codec" / "corpus"
    assert campaign.run_fuzz(lab, CODEC, 1 / 60).exit_code == 0
    inputs = set(corpus.iterdir())
    assert len(inputs) > len(SEEDS)
    campaign.run_fuzz(lab, CODEC, 1 / 60)
    assert inputs <= set(corpus.iterdir())


def test_a_campaign_takes_a_time_above_zero(here: Runner, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="minutes"):
        campaign.run_fuzz(lab_on(here, tmp_path), CODEC, 0)


def test_a_long_campaign_has_rounds_until_something_is_found(
    here: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def fuzz(_subject: Subject, _folder: Path, options: tuple[str, ...], *_: Any, **__: Any) -> Campaign:
        asked.append(options)
        return Campaign(executions=10, coverage=len(asked), findings=[Finding("", "", "")] * (len(asked) == 3))

    monkeypatch.setattr(campaign, "fuzz", fuzz)
    found = campaign.run_fuzz(lab_on(here, tmp_path), CODEC, 400 / 60)
    assert asked == [("-max_total_time=180",), ("-max_total_time=180",), ("-max_total_time=40",)]
    assert (found.executions, found.coverage, found.exit_code) == (30, 3, 1)
    campaign.run_fuzz(lab_on(here, tmp_path), CODEC, 60)
    assert len(asked) == 3 + 20


def test_without_atheris_a_campaign_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "is_available", lambda: False)
    with pytest.raises(MpsocksError, match="atheris is missing"):
        campaign.fuzz(CODEC, tmp_path, (), Progress())
