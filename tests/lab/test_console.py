"""The serial console as text that an error message can quote."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.console import QUOTED, console_text, last_lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "console.log"


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        (b"Linux version 6.12\r\n", "Linux version 6.12\n"),
        (b"\x1b[0;32m  OK  \x1b[0m] Started\r\n", "  OK  ] Started\n"),
        (b"\x1bc\x1b[?7l\x1b[2JSeaBIOS\r\n", "SeaBIOS\n"),
        (b"\x1bcBooting from ROM", "Booting from ROM"),
        (b"\x1b(Bdone\x1b)0", "done"),
        (b"\x1b]0;title\x07login: ", "login: "),
        (b"\x1b]3008;start=boot\x1b\\Welcome", "Welcome"),
        (b"\x1b[?25h\x1b[6n\x1b[32766;32766H$ ", "$ "),
        (b"bell\x07 back\x08space\x00", "bell backspace"),
        (b"tab\tstays", "tab\tstays"),
        ("gr\u00fc\u00dfe".encode(), "gr\u00fc\u00dfe"),
        (b"broken \xff octet", "broken \ufffd octet"),
    ],
)
def test_control_sequences_go_and_text_stays(log: Path, printed: bytes, read: str) -> None:
    log.write_bytes(printed)
    assert console_text(log) == read


def test_a_guest_that_has_not_printed_yet_has_printed_nothing(log: Path) -> None:
    assert console_text(log) == ""
    assert last_lines(log) == "the console stayed empty"


def test_the_last_lines_are_those_that_say_something(log: Path) -> None:
    log.write_bytes(b"".join(b"line %d\r\n\r\n" % n for n in range(100)))
    assert last_lines(log, 2) == "line 98\nline 99"
    assert len(last_lines(log).splitlines()) == QUOTED
