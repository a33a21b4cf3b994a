"""The runner: what reaches a program is what was given, what fails says why, and a dry run changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invoke.config import Config
from invoke.context import Context

from lab.runner import CommandError, Runner

MARK = "\x1e"
NASTY = [
    "", " ", "a b", "it's", '"quoted"', "$HOME", "$(id)", "`id`", "a;b", "a&b|c>d", "*", "~", "-n", "--", "\\", "\\n",
    "new\nline", "tab\t", "ü€😀", "{}[]!#", "%s", "=x",
]  # fmt: skip


def arguments_seen(runner: Runner, *arguments: str) -> list[str]:
    """What a program really gets: printf ends each with a mark that is in none of them."""
    if not arguments:
        return []
    return runner.read("printf", f"%s{MARK}", *arguments).split(MARK)[:-1]


@pytest.fixture
def dry() -> Runner:
    return Runner(Context(Config(overrides={"run": {"dry": True}})))


class TestArguments:
    def test_nasty_ones_arrive_as_they_are(self, here: Runner) -> None:
        assert arguments_seen(here, *NASTY) == NASTY

    def test_also_through_a_prefix(self, here: Runner) -> None:
        assert arguments_seen(here.inside("env", "-u", "NOTHING").inside("nice", "-n", "0"), *NASTY) == NASTY

    def test_also_over_ssh_where_a_shell_reads_them_once_more(
        self, here: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A stand-in does with its words what ssh does: joins them with blanks, for the shell of the other side."""
        (tmp_path / "ssh").write_text('#!/bin/sh\nshift\nexec sh -c "$*"\n')
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        there = here.inside("ssh", "root@guest")
        assert arguments_seen(there, *NASTY) == NASTY
        assert there.change("sh", "-c", "cat; echo $WORD", stdin="it's\n", env={"WORD": "$HOME"}) == "it's\n$HOME\n"

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\x1e"), max_size=12), max_size=6))
    def test_any_text_arrives_as_it_is(self, words: list[str]) -> None:
        assert arguments_seen(Runner(Context()), *words) == words

    def test_paths_are_taken_like_text(self, here: Runner, tmp_path: Path) -> None:
        (tmp_path / "a b").write_text("found")
        assert here.read("cat", tmp_path / "a b") == "found"

    def test_variables_are_set_for_the_command_alone(self, here: Runner) -> None:
        assert here.change("sh", "-c", 'printf %s "$GREETING"', env={"GREETING": "it's $HOME"}) == "it's $HOME"
        assert "GREETING" not in os.environ


class TestStandardInput:
    @pytest.mark.parametrize("text", ["one\ntwo\n", "$HOME `id` \\ 'x' \"y\"\n", "\tindented\n\n  lines\n", "ü€\n"])
    def test_text_arrives_as_it_is(self, here: Runner, text: str) -> None:
        assert here.read("cat", stdin=text) == text

    def test_a_last_line_is_always_ended(self, here: Runner) -> None:
        assert here.read("cat", stdin="no end") == "no end\n"

    def test_without_any_a_command_does_not_wait_for_a_person(self, here: Runner) -> None:
        assert here.read("cat") == ""
        assert here.probe("sh", "-c", "read answer").exit_code == 1


class TestAnswers:
    def test_json_is_parsed_and_nothing_is_an_empty_list(self, here: Runner) -> None:
        assert here.read_json("echo", '[{"ifname": "lo"}]') == [{"ifname": "lo"}]
        assert here.read_json("true") == []

    def test_a_probe_may_fail(self, here: Runner) -> None:
        found = here.probe("sh", "-c", "echo out; echo err >&2; exit 3")
        assert (found.ok, found.exit_code, found.stdout, found.stderr) == (False, 3, "out\n", "err\n")
        assert here.probe("true").ok

    @pytest.mark.parametrize("way", ["read", "change"])
    def test_a_failure_says_what_ran_what_it_said_and_what_to_do(self, here: Runner, way: str) -> None:
        with pytest.raises(CommandError) as failed:
            getattr(here, way)("sh", "-c", "echo no such thing >&2; exit 4", hint="try another")
        assert str(failed.value) == (
            "`sh -c 'echo no such thing >&2; exit 4'` failed with exit code 4\n"
            "  why:  no such thing\n"
            "  do:   try another"
        )
        assert failed.value.completed.exit_code == 4

    def test_without_an_error_text_the_output_is_quoted(self, here: Runner) -> None:
        with pytest.raises(CommandError) as failed:
            here.read("sh", "-c", "echo on stdout; exit 1")
        assert failed.value.why == "on stdout"
        with pytest.raises(CommandError) as failed:
            here.read("false")
        assert failed.value.why == "it printed nothing"

    def test_of_a_long_error_the_end_is_quoted(self, here: Runner) -> None:
        with pytest.raises(CommandError) as failed:
            here.read("sh", "-c", "seq 1000 >&2; exit 1")
        assert failed.value.why.splitlines() == [str(n) for n in range(989, 1001)]

    def test_a_ruleset_does_not_fill_the_message(self, here: Runner) -> None:
        with pytest.raises(CommandError) as failed:
            here.change("sh", "-c", "exit 1", stdin="line\n" * 100)
        assert len(failed.value.what.splitlines()) == 1

    def test_a_program_that_is_not_there_is_a_failure_like_any_other(self, here: Runner) -> None:
        assert here.probe("mpsocks-no-such-program").exit_code == 127

    def test_nothing_is_printed_for_the_person(self, here: Runner, capfd: pytest.CaptureFixture[str]) -> None:
        here.change("sh", "-c", "echo out; echo err >&2")
        here.probe("sh", "-c", "echo out; exit 1")
        assert capfd.readouterr() == ("", "")

    def test_a_probe_that_shows_its_progress_shows_only_that(
        self, here: Runner, capfd: pytest.CaptureFixture[str]
    ) -> None:
        here.probe("sh", "-c", "echo out; echo progress >&2", show_errors=True)
        assert capfd.readouterr() == ("", "progress\n")


class TestLines:
    def test_each_line_of_both_streams_is_handed_over(self, here: Runner) -> None:
        lines: list[str] = []
        here.change("sh", "-c", "echo one; echo two; echo three >&2", on_line=lines.append)
        assert sorted(lines) == ["one", "three", "two"]

    def test_also_the_last_one_without_an_end(self, here: Runner) -> None:
        lines: list[str] = []
        here.change("printf", "one\ntwo", on_line=lines.append)
        assert lines == ["one", "two"]

    def test_half_lines_of_the_two_streams_do_not_mix(self, here: Runner) -> None:
        lines: list[str] = []
        script = "printf 'out '; sleep 0.1; printf 'err ' >&2; sleep 0.1; echo out; sleep 0.1; echo err >&2"
        here.change("sh", "-c", script, on_line=lines.append)
        assert lines == ["out out", "err err"]

    def test_a_carriage_return_ends_one_too(self, here: Runner) -> None:
        lines: list[str] = []
        here.change("printf", r"10%%\r20%%\r", on_line=lines.append)
        assert lines == ["10%", "20%"]

    def test_they_are_not_printed(self, here: Runner, capfd: pytest.CaptureFixture[str]) -> None:
        lines: list[str] = []
        here.change("echo", "line", on_line=lines.append)
        assert capfd.readouterr() == ("", "")


class TestTimeLimits:
    def test_a_command_that_takes_too_long_is_ended(self, here: Runner) -> None:
        with pytest.raises(CommandError, match="exit code 124") as failed:
            here.read("sh", "-c", "echo waiting; exec sleep 600", timeout=0.5)
        assert failed.value.why == "waiting\n\nended after 0.5 s"

    def test_for_a_probe_that_is_an_answer(self, here: Runner) -> None:
        assert here.probe("sleep", "600", timeout=0.1).exit_code == 124

    def test_one_that_is_quick_enough_is_not(self, here: Runner) -> None:
        assert here.read("echo", "done", timeout=60) == "done\n"


class TestDryRuns:
    def test_a_change_is_printed_and_not_made(
        self, dry: Runner, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert dry.change("touch", tmp_path / "it's") == ""
        assert list(tmp_path.iterdir()) == []
        assert capfd.readouterr().out == f"touch '{tmp_path}/it'\"'\"'s'\n"

    def test_what_is_printed_can_be_pasted(
        self, dry: Runner, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        dry.inside("env", "A=b c").change("tee", tmp_path / "a b", stdin="$HOME\n'x'\n", env={"LANG": "C"})
        subprocess.run(["sh", "-c", capfd.readouterr().out], check=True, stdout=subprocess.DEVNULL)
        assert (tmp_path / "a b").read_text() == "$HOME\n'x'\n"

    def test_reading_goes_on(self, dry: Runner) -> None:
        assert dry.dry
        assert dry.read("echo", "answer") == "answer\n"
        assert dry.probe("false").exit_code == 1


def test_an_interrupt_ends_the_command_and_is_not_swallowed(here: Runner) -> None:
    """^C while a command runs must end the task: otherwise it would go on with the next command."""
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        here.probe("sleep", "600")
