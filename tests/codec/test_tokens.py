"""Idempotence tokens: the proxy's window against a plain model of its rules, and the client's against the proxy's."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import LocalProtocolError, RemoteProtocolError
from codec.socks6.tokens import LARGEST_WINDOW, LONGEST_SHIFT, TOKENS, TokenBank, TokenWallet, precedes, random_base

ALMOST_WRAPPED = TOKENS - 3
bases = st.integers(0, TOKENS - 1) | st.integers(TOKENS - 40, TOKENS - 1)


@dataclass
class Model:
    """The window as a set of spent tokens that never wrap: token by token, with no bound on work or memory."""

    size: int
    base: int
    longest_shift: int
    spent: set[int] = field(default_factory=set)

    def spend(self, token: int) -> bool:
        """Accept a token once, then shift token by token while the rules say so."""
        if not self.base <= token < self.base + self.size or token in self.spent:
            return False
        self.spent.add(token)
        window = range(self.base, self.base + self.size)
        unspent = [token for token in window if token not in self.spent]
        end = min(self.base + self.longest_shift, max(unspent, default=window.stop))
        watermark = max(self.spent) - self.size // 2
        while self.base < end and (self.base in self.spent or self.base < watermark):
            self.base += 1
        return True


def spend_all(bank: TokenBank, tokens: range | list[int]) -> Iterator[bool]:
    return (bank.spend(token % TOKENS) for token in tokens)


def shift_of(bank: TokenBank, token: int) -> int:
    """How far the window moves when it accepts the token."""
    before = bank.base
    assert bank.spend(token % TOKENS)
    return (bank.base - before) % TOKENS


@pytest.mark.parametrize(
    ("token", "other"), [(0, 1), (0, LARGEST_WINDOW), (TOKENS - 1, 0), (TOKENS - 1, LARGEST_WINDOW - 1), (7, 9)]
)
def test_the_smaller_token_is_the_one_less_than_half_of_all_behind(token: int, other: int) -> None:
    assert precedes(token, other)
    assert not precedes(other, token)


@pytest.mark.parametrize("token", [0, 1, LARGEST_WINDOW, TOKENS - 1])
def test_a_token_neither_precedes_itself_nor_the_one_on_the_other_side(token: int) -> None:
    opposite = (token + TOKENS // 2) % TOKENS
    assert not precedes(token, token)
    assert not precedes(token, opposite)
    assert not precedes(opposite, token)


def test_a_window_starts_at_a_random_token() -> None:
    drawn = {random_base() for _ in range(100)}
    assert len(drawn) > 90
    assert all(0 <= base < TOKENS for base in drawn)


@given(st.data(), st.integers(1, 70), bases, st.integers(1, 80))
def test_a_bank_follows_the_model(data: st.DataObject, size: int, base: int, longest_shift: int) -> None:
    bank, model = TokenBank(size, base, longest_shift=longest_shift), Model(size, base, longest_shift)
    accepted: set[int] = set()
    for offset, run in data.draw(st.lists(st.tuples(st.integers(-2, size + 1), st.integers(1, size)), max_size=40)):
        start = model.base + offset
        for token in range(start, start + run):
            before = model.base
            was_spent = bank.spend(token % TOKENS)
            assert was_spent == model.spend(token)
            assert (bank.base, bank.size) == (model.base % TOKENS, size)
            assert not (was_spent and token in accepted)
            assert before <= model.base <= before + longest_shift
            accepted |= {token} if was_spent else set()


@given(st.integers(1, 70), bases)
def test_a_window_spent_in_order_never_runs_dry(size: int, base: int) -> None:
    bank = TokenBank(size, base)
    assert all(spend_all(bank, range(base, base + 200)))
    assert bank.base == (base + 200) % TOKENS
    assert not any(spend_all(bank, range(base, base + 200)))


def test_tokens_outside_the_window_are_refused_and_move_nothing() -> None:
    bank = TokenBank(8, ALMOST_WRAPPED)
    far = [-1, 8, TOKENS // 2, -(TOKENS // 2)]
    assert not any(spend_all(bank, [ALMOST_WRAPPED + offset for offset in far]))
    assert bank.base == ALMOST_WRAPPED


def test_a_token_above_the_watermark_takes_the_window_along_until_it_sits_there() -> None:
    bank = TokenBank(8, ALMOST_WRAPPED)
    assert bank.spend((ALMOST_WRAPPED + 4) % TOKENS)
    assert bank.base == ALMOST_WRAPPED
    assert bank.spend((ALMOST_WRAPPED + 7) % TOKENS)
    assert bank.base == (ALMOST_WRAPPED + 3) % TOKENS


def test_the_highest_unspent_token_stays_in_the_window() -> None:
    bank = TokenBank(4, 0)
    for base in (0, 4, 8):
        assert all(spend_all(bank, [base + 1, base + 2, base + 3]))
        assert bank.base == base
        assert bank.spend(base)
        assert bank.base == base + 4


def test_a_long_run_of_spent_tokens_is_left_behind_over_several_spends() -> None:
    step, base = LONGEST_SHIFT, ALMOST_WRAPPED
    bank = TokenBank(4 * step, base)
    assert all(spend_all(bank, range(base + 1, base + 2 * step + 1)))
    assert bank.base == base
    assert [shift_of(bank, base + offset) for offset in (0, 2 * step + 1, 2 * step + 2)] == [step, step, 3]
    assert not any(spend_all(bank, range(base, base + 2 * step + 3)))


def test_a_token_far_above_the_watermark_takes_the_window_along_over_several_spends() -> None:
    step, base = LONGEST_SHIFT, ALMOST_WRAPPED
    bank = TokenBank(6 * step, base)
    assert [shift_of(bank, base + offset) for offset in (6 * step - 1, 3 * step, 4 * step)] == [step, step, step - 1]
    assert bank.spend((base + 3 * step - 1) % TOKENS)


def test_a_window_takes_a_bit_per_token_and_never_more() -> None:
    size, slack = 1 << 20, 8192
    tracemalloc.start()
    try:
        bank = TokenBank(size, ALMOST_WRAPPED)
        assert all(spend_all(bank, range(ALMOST_WRAPPED, ALMOST_WRAPPED + size, 501)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size // 8 <= peak <= size // 8 + slack


@pytest.mark.parametrize(
    ("size", "base", "longest_shift"), [(0, 0, 1), (LARGEST_WINDOW + 1, 0, 1), (1, -1, 1), (1, TOKENS, 1), (1, 0, 0)]
)
def test_no_window_without_tokens_with_half_of_all_or_a_start_beyond_32_bits(
    size: int, base: int, longest_shift: int
) -> None:
    with pytest.raises(LocalProtocolError):
        TokenBank(size, base, longest_shift=longest_shift)


def test_bank_and_wallet_show_their_window() -> None:
    assert repr(TokenBank(4, 7)) == "TokenBank(size=4, base=7)"
    assert repr(TokenWallet(7, 4)) == "TokenWallet(base=7, size=4, remaining=4)"


def test_a_wallet_hands_out_the_smallest_token_first_and_each_once() -> None:
    wallet = TokenWallet(TOKENS - 1, 2)
    assert [wallet.spend(), wallet.spend(), wallet.spend()] == [TOKENS - 1, 0, None]
    assert wallet.remaining == 0


def test_a_newer_window_replaces_the_known_one_and_keeps_what_is_spent() -> None:
    wallet = TokenWallet(TOKENS - 2, 4)
    assert [wallet.spend(), wallet.spend(), wallet.spend()] == [TOKENS - 2, TOKENS - 1, 0]
    wallet.update(TOKENS - 1, 4)
    assert (wallet.spend(), wallet.remaining) == (1, 1)
    wallet.update(100, 4)
    assert (wallet.spend(), wallet.remaining) == (100, 3)


@pytest.mark.parametrize("older", [9, TOKENS - 5, (10 + TOKENS // 2) % TOKENS])
def test_a_window_with_a_smaller_base_is_disregarded(older: int) -> None:
    wallet = TokenWallet(10, 4)
    wallet.update(older, 1000)
    assert (wallet.remaining, wallet.spend()) == (4, 10)


def test_a_window_that_shrinks_leaves_nothing_below_zero() -> None:
    wallet = TokenWallet(10, 4)
    assert [wallet.spend(), wallet.spend(), wallet.spend()] == [10, 11, 12]
    wallet.update(10, 1)
    assert (wallet.remaining, wallet.spend()) == (0, None)


@pytest.mark.parametrize("size", [0, LARGEST_WINDOW + 1])
def test_a_proxy_must_not_advertise_windows_of_other_sizes(size: int) -> None:
    with pytest.raises(RemoteProtocolError):
        TokenWallet(0, size)
    with pytest.raises(RemoteProtocolError):
        TokenWallet(0, 1).update(0, size)


@given(st.data(), st.integers(1, 40), bases)
def test_requests_that_overtake_each_other_by_half_a_window_are_all_honoured(
    data: st.DataObject, size: int, base: int
) -> None:
    bank, wallet = TokenBank(size, base), TokenWallet(base, size)
    sent, under_way, windows = 0, list[int](), [(base, size)]
    for choice in data.draw(st.lists(st.integers(0, 100), min_size=60, max_size=60)):
        # The oldest request under way is at most half a window behind the newest.
        while wallet.remaining and sent - min(under_way, default=sent) <= size // 2:
            assert wallet.spend() == (base + sent) % TOKENS
            under_way.append(sent)
            sent += 1
        assert bank.spend((base + under_way.pop(choice % len(under_way))) % TOKENS)
        windows.append((bank.base, bank.size))
        wallet.update(*windows[-1 - choice % 2 if under_way else -1])


@given(st.integers(5, 40), bases)
def test_a_request_lost_now_and_then_does_not_hold_the_window(size: int, base: int) -> None:
    bank, wallet = TokenBank(size, base), TokenWallet(base, size)
    for number in range(20 * size):
        token = wallet.spend()
        assert token == (base + number) % TOKENS
        assert number % size == 1 or bank.spend(token)
        wallet.update(bank.base, bank.size)
