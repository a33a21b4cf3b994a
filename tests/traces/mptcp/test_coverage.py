"""What was sent before is found, whichever way pieces of data overlap."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from traces.mptcp import coverage
from traces.mptcp.coverage import Sent, classify
from traces.mptcp.model import MapKind

Piece = tuple[int, int, int, int]
"""Start, length, subflow, shift."""
PIECES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 12), st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=15
)


def sent(pieces: list[Piece], streams: list[int] | None = None) -> Sent:
    columns = np.array(pieces, np.int64).reshape(-1, 4)
    start, length, subflow, shift = columns.T
    stream = np.array(streams or [0] * len(pieces), np.int64)
    return Sent(stream, start, length.astype(np.uint32), subflow, start + shift)


def octet_by_octet(pieces: list[Piece]) -> list[tuple[int, int, MapKind]]:
    """Piece, position and kind of each octet, from the definition of the kinds."""
    seen: dict[int, set[tuple[int, int]]] = {}
    told = []
    for number, (start, length, subflow, shift) in enumerate(pieces):
        for position in range(start, start + length):
            before = seen.setdefault(position, set())
            if not before:
                kind = MapKind.NEW
            elif (subflow, shift) in before:
                kind = MapKind.RETRANSMITTED
            elif any(other == subflow for other, _ in before):
                kind = MapKind.REINJECTED_SAME
            else:
                kind = MapKind.REINJECTED
            told.append((number, position, kind))
        for position in range(start, start + length):
            seen[position].add((subflow, shift))
    return told


@given(PIECES)
def test_each_octet_has_the_kind_that_its_history_gives_it(pieces: list[Piece]) -> None:
    parts = classify(sent(pieces))
    told = [
        (int(index), position, MapKind(kind))
        for index, start, length, kind in zip(parts.index, parts.start, parts.length, parts.kind, strict=True)
        for position in range(start, start + length)
    ]
    assert told == octet_by_octet(pieces)


@given(PIECES)
def test_streams_have_nothing_to_do_with_one_another(pieces: list[Piece]) -> None:
    twice = classify(sent(pieces * 2, streams=[0] * len(pieces) + [1] * len(pieces)))
    once = classify(sent(pieces))
    half = len(once.kind)
    assert twice.kind[:half].tolist() == twice.kind[half:].tolist() == once.kind.tolist()


def test_a_piece_that_is_partly_new_is_cut_where_the_kind_changes() -> None:
    parts = classify(sent([(10, 10, 0, 0), (5, 20, 1, 0)]))
    assert parts.index.tolist() == [0, 1, 1, 1]
    assert list(zip(parts.start.tolist(), parts.length.tolist(), strict=True)) == [(10, 10), (5, 5), (10, 10), (20, 5)]
    assert parts.kind.tolist() == [MapKind.NEW, MapKind.NEW, MapKind.REINJECTED, MapKind.NEW]


def test_nothing_at_all() -> None:
    assert classify(sent([])).kind.tolist() == []


def test_data_in_absurdly_many_fragments_are_judged_by_their_first_octets() -> None:
    """Each piece reaches over the begins of all others: memory has to stay linear."""
    count = 3000
    parts = classify(sent([(at, count, 0, 0) for at in range(count)]))
    assert count * (count - 1) / 2 > coverage.FRAGMENTS * count + 1_000_000
    assert parts.index.tolist() == list(range(count))
    assert set(parts.length.tolist()) == {count}
