"""The published test vectors, as far as this codec goes."""

from __future__ import annotations

import pytest

from codec.errors import NEED_DATA
from tests.codec import vectors

CASES = [case for case in vectors.load() if case.covered]


def named(cases: list[vectors.Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.id for case in cases])


MESSAGES = named([case for case in CASES if case.message])


@MESSAGES
def test_message_decodes_from_its_octets(case: vectors.Case) -> None:
    assert vectors.decode(case.kind, case.octets) == (vectors.parse_message(case.message), len(case.octets))


@named([case for case in CASES if case.message and not case.message.endswith(vectors.PADDING_COUNTED)])
def test_message_encodes_to_its_octets(case: vectors.Case) -> None:
    assert vectors.encode(vectors.parse_message(case.message)) == case.octets


@MESSAGES
def test_every_proper_prefix_needs_more(case: vectors.Case) -> None:
    for end in range(len(case.octets)):
        assert vectors.decode(case.kind, case.octets[:end]) is NEED_DATA


@MESSAGES
def test_octets_behind_the_message_are_left_alone(case: vectors.Case) -> None:
    if case.kind != "ver":
        assert vectors.decode(case.kind, case.octets + b"data") == vectors.decode(case.kind, case.octets)


@named([case for case in CASES if case.parse])
def test_odd_input_ends_as_the_draft_says(case: vectors.Case) -> None:
    assert vectors.outcome(case) in case.accept
