"""What comes from outside cannot do more on a terminal than be read, and nobody has to read it all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.tasking import report
from lab.telling import harmless


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\ttabs and Ünïcödé → stay ✓", "\ttabs and Ünïcödé → stay ✓"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("eth0\nwarning: forged\r", r"eth0\nwarning: forged\r"),
        ("\x9b31m\x7f\u202egnp", r"\x9b31m\x7f\u202egnp"),
        ("half a pair \ud800", r"half a pair \ud800"),
    ],
)
def test_control_characters_are_spelled_out(line: str, shown: str) -> None:
    assert harmless(line) == shown


@given(st.text(st.characters()))
def test_whatever_comes_can_be_printed(line: str) -> None:
    assert harmless(line).replace("\t", "").isprintable()
    harmless(line).encode()


def test_reports_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    report({}, ["one \x1b[31m", "two"], as_json=False)
    assert capsys.readouterr().out == "one \\x1b[31m\ntwo\n"


def test_who_has_read_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    script = "from lab.telling import tell; tell('x' * 100_000); tell('more')"
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
