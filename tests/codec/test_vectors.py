"""The published test vectors, and the program that checks any file of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codec.errors import NEED_DATA
from tests.codec import vectors
from tests.codec.vector_grammar import parse_message

CASES = vectors.load()


def named(cases: list[vectors.Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.id for case in cases])


MESSAGES = named([case for case in CASES if case.message])


@MESSAGES
def test_message_decodes_from_its_octets(case: vectors.Case) -> None:
    assert case.codec.decode(case.octets) == (parse_message(case.draft, case.message), len(case.octets))


@named([case for case in CASES if case.is_sent])
def test_message_encodes_to_its_octets(case: vectors.Case) -> None:
    assert case.codec.encode(parse_message(case.draft, case.message)) == case.octets


@MESSAGES
def test_every_proper_prefix_needs_more(case: vectors.Case) -> None:
    for end in range(len(case.octets)):
        assert case.codec.decode(case.octets[:end]) is NEED_DATA


@MESSAGES
def test_octets_behind_the_message_are_left_alone(case: vectors.Case) -> None:
    assert case.codec.decode(case.octets + b"data") == case.codec.decode(case.octets)


@named([case for case in CASES if case.parse])
def test_odd_input_ends_as_the_draft_says(case: vectors.Case) -> None:
    assert vectors.outcome(case) in case.accept


def test_both_drafts_are_checked() -> None:
    assert {case.draft for case in CASES} == {"04", "11"}


def test_the_program_finds_nothing_wrong_with_its_own_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert vectors.main([]) == 0
    assert capsys.readouterr().out == f"{len(CASES)} cases, 0 mismatches\n"


def test_the_program_tells_each_mismatch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = "060100000050000100000000"
    file = tmp_path / "wrong.json"
    file.write_text(
        json.dumps(
            [
                {"id": "port", "draft": "11", "hex": request, "message": "req connect v4=0.0.0.0 81"},
                {"id": "right", "draft": "11", "hex": request, "message": "req connect v4=0.0.0.0 80"},
                {"id": "parse", "draft": "11", "hex": request, "parse": "req", "accept": ["malformed"]},
                {"id": "refused", "draft": "11", "hex": request, "message": "req noop v4=0.0.0.0 1"},
                {"id": "grammar", "draft": "11", "hex": request, "message": "req connect 0.0.0.0"},
                {"id": "superseded", "draft": "08", "hex": request, "message": "dgram78 nothing"},
            ]
        )
    )
    assert vectors.main([str(file)]) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["port", "port", "parse", "refused", "grammar"]
    assert last == "5 cases, 5 mismatches"
