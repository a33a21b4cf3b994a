"""Numbers of 32 and of 64 bits become positions that go on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.mptcp.numbering import grouped, unwrapped
from traces.mptcp.streams import widened
from traces.reading.segments import Int64

MODULUS = 1 << 32
STEPS = st.integers(-(1 << 31), (1 << 31) - 1)


def one_group(numbers: list[int], base: int) -> Int64:
    return unwrapped(np.array(numbers, np.uint32), np.array([0, len(numbers)]), np.array([base], np.uint32))


def test_numbers_are_counted_on_when_they_wrap_around() -> None:
    assert one_group([MODULUS - 10, 5, MODULUS - 1, 20], base=MODULUS - 11).tolist() == [1, 16, 10, 31]


@given(st.lists(STEPS, max_size=50), st.integers(0, MODULUS - 1))
def test_steps_below_2_31_are_found_however_many_there_are(steps: list[int], base: int) -> None:
    positions = np.cumsum(np.array(steps, np.int64))
    assert one_group([(base + int(position)) % MODULUS for position in positions], base).tolist() == positions.tolist()


def test_each_group_has_its_own_base() -> None:
    order, begins = grouped(np.array([1, 0, 1, 3]), 4)
    assert (order.tolist(), begins.tolist()) == ([1, 0, 2, 3], [0, 1, 3, 3, 4])
    numbers = np.array([100, 7, 101, 5], np.uint32)[order]
    assert unwrapped(numbers, begins, np.array([0, 100, 9, 6], np.uint32)).tolist() == [7, 0, 1, -1]


class TestWidening:
    INITIAL = np.array([(1 << 63) + 5], np.uint64)

    def widen(self, numbers: list[tuple[int, bool]]) -> list[int]:
        raw = np.array([number for number, _ in numbers], np.uint64)
        long = np.array([is_long for _, is_long in numbers], bool)
        return [int(position) for position in widened(raw, long, np.zeros(len(numbers), np.int64), self.INITIAL)]

    def short(self, position: int) -> tuple[int, bool]:
        return (int(self.INITIAL[0]) + position) % MODULUS, False

    def long(self, position: int) -> tuple[int, bool]:
        return (int(self.INITIAL[0]) + position) % (1 << 64), True

    def test_short_numbers_follow_one_another(self) -> None:
        positions = [1, 1 << 30, 1 << 31, 3 << 30, 1 << 32, 5 << 30]
        assert self.widen([self.short(position) for position in positions]) == positions

    def test_long_ones_need_no_predecessor(self) -> None:
        assert self.widen([self.long(7 << 32), self.short((7 << 32) + 9), self.long(4)]) == [7 << 32, (7 << 32) + 9, 4]

    @given(st.lists(st.tuples(st.integers(0, 1 << 20), st.booleans()), max_size=30))
    def test_mixed(self, steps: list[tuple[int, bool]]) -> None:
        positions = np.cumsum([step for step, _ in steps]).tolist()
        numbers = [
            self.long(position) if is_long else self.short(position)
            for position, (_, is_long) in zip(positions, steps, strict=True)
        ]
        assert self.widen(numbers) == positions

    @pytest.mark.parametrize("nonsense", [0, 1 << 62])
    def test_a_long_number_far_off_is_not_taken_at_its_word(self, nonsense: int) -> None:
        first, _, last = self.widen([self.short(10), (nonsense, True), self.short(20)])
        assert (first, last) == (10, 20)
