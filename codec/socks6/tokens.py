"""Idempotence tokens: a request that spends one is honoured at most once (draft-11 "Idempotence options").

Tokens are serial numbers of 32 bits, as in RFC 1982: they wrap, and only the distance between two of them has a
meaning. A proxy grants a session one window, `size` tokens from `base` on, and accepts each token in it once. As tokens
are spent it shifts the window upwards and tells the client, who spends the small ones first.
"""

from __future__ import annotations

from secrets import randbelow

from codec.errors import LocalProtocolError, RemoteProtocolError

TOKENS = 1 << 32
LARGEST_WINDOW = (1 << 31) - 1
LONGEST_SHIFT = 4096
"""How many tokens one spend moves a window at most: 512 octets of bitmap, so that no peer can ask for more work."""


def precedes(token: int, other: int) -> bool:
    """Whether `token` is smaller than `other`. Neither of two tokens 2^31 apart is smaller than the other."""
    return 0 < (other - token) % TOKENS <= LARGEST_WINDOW


def random_base() -> int:
    """A first token nobody can guess: one that leaked from an older session is then unlikely to be good in this one."""
    return randbelow(TOKENS)


class TokenBank:
    """The proxy's window: `base` is its lowest token, `size` the number of tokens; both are what to advertise.

    A spend takes constant time and memory is a bit per token, so what may be granted is bounded by memory alone.
    `LocalProtocolError` unless 1 <= size <= 2^31-1, 0 <= base < 2^32 and 1 <= longest_shift.
    """

    __slots__ = ("_base", "_highest", "_longest_shift", "_ring", "_size", "_spent")

    def __init__(self, size: int, base: int, *, longest_shift: int = LONGEST_SHIFT) -> None:
        if not 1 <= size <= LARGEST_WINDOW:
            raise LocalProtocolError(f"a window has 1 to {LARGEST_WINDOW} tokens, not {size}")
        if not 0 <= base < TOKENS:
            raise LocalProtocolError(f"a token has 32 bits: {base} cannot be the first one")
        if longest_shift < 1:
            raise LocalProtocolError(f"a window that moves by {longest_shift} tokens at most is soon used up")
        self._base = base
        self._size = size
        self._longest_shift = min(longest_shift, size)
        self._ring = _BitRing(size)
        self._spent = 0
        self._highest = -1  # how far above the base the highest spent token is; negative: it left the window

    @property
    def base(self) -> int:
        """The lowest token of the window, spent or not."""
        return self._base

    @property
    def size(self) -> int:
        """The number of tokens in the window; it never changes."""
        return self._size

    def __repr__(self) -> str:
        return f"TokenBank(size={self._size}, base={self._base})"

    def spend(self, token: int) -> bool:
        """Whether the token was in the window and unspent. It is spent now, and the window may have shifted."""
        offset = (token - self._base) % TOKENS
        if offset >= self._size or self._ring.test(offset):
            return False
        self._ring.set(offset)
        self._spent += 1
        self._highest = max(self._highest, offset)
        self._shift()
        return True

    def _shift(self) -> None:
        """Move the window to where the tokens spent so far call for it, or as far towards that as one spend may.

        What is left to do follows from the state alone, so the next spend goes on with it.
        """
        reach = self._longest_shift
        near = self._ring.first(reach)
        unspent_near = near ^ ((1 << reach) - 1)
        # Half a window stays below the highest spent token, for requests that others overtook.
        shift = min(max(self._highest - self._size // 2, 0), reach)
        shift += _trailing_ones(near >> shift)
        unspent_beyond = self._size - self._spent - unspent_near.bit_count()
        if unspent_near and not unspent_beyond:
            shift = min(shift, unspent_near.bit_length() - 1)  # the highest unspent token stays in the window
        if not shift:
            return
        self._ring.drop(shift)
        self._spent -= (near & ((1 << shift) - 1)).bit_count()
        self._base = (self._base + shift) % TOKENS
        self._highest -= shift


class TokenWallet:
    """The client's side of a window: the tokens that it may still spend, each handed out once.

    `RemoteProtocolError` for a window without tokens or with 2^31 and more.
    """

    __slots__ = ("_base", "_size", "_used")

    def __init__(self, base: int, size: int) -> None:
        _check_advertised(size)
        self._base = base
        self._size = size
        self._used = 0  # tokens of the window that are handed out already: always the lowest ones

    @property
    def remaining(self) -> int:
        """How many tokens can be handed out before a newer window must come."""
        return max(0, self._size - self._used)

    def __repr__(self) -> str:
        return f"TokenWallet(base={self._base}, size={self._size}, remaining={self.remaining})"

    def spend(self) -> int | None:
        """The smallest token left, to be sent with one request; None if there is none.

        It is gone even if the request fails: nobody can tell whether the proxy saw it.
        """
        if not self.remaining:
            return None
        token = (self._base + self._used) % TOKENS
        self._used += 1
        return token

    def update(self, base: int, size: int) -> None:
        """Take over the window of an authentication reply, unless a newer one is known: replies overtake each other."""
        _check_advertised(size)
        if base != self._base and not precedes(self._base, base):
            return
        self._used = max(0, self._used - (base - self._base) % TOKENS)
        self._base = base
        self._size = size


class _BitRing:
    """One bit per token in whole octets, the lowest at a head that moves round. Spare bits of the last octet are 0."""

    __slots__ = ("_bits", "_head", "_octets")

    def __init__(self, size: int) -> None:
        self._octets = bytearray((size + 7) // 8)
        self._bits = 8 * len(self._octets)
        self._head = 0

    def test(self, offset: int) -> bool:
        """Whether the bit so far above the head is set."""
        place = (self._head + offset) % self._bits
        return bool(self._octets[place >> 3] >> (place & 7) & 1)

    def set(self, offset: int) -> None:
        """Set the bit so far above the head."""
        place = (self._head + offset) % self._bits
        self._octets[place >> 3] |= 1 << (place & 7)

    def first(self, count: int) -> int:
        """The `count` bits from the head on, the head's the lowest."""
        here = min(count, self._bits - self._head)
        return self._read(self._head, here) | self._read(0, count - here) << here

    def drop(self, count: int) -> None:
        """Clear the `count` bits from the head on and move the head past them."""
        here = min(count, self._bits - self._head)
        self._clear(self._head, here)
        self._clear(0, count - here)
        self._head = (self._head + count) % self._bits

    def _read(self, start: int, count: int) -> int:
        octets = self._octets[start >> 3 : (start + count + 7) >> 3]
        return int.from_bytes(octets, "little") >> (start & 7) & ((1 << count) - 1)

    def _clear(self, start: int, count: int) -> None:
        touched = slice(start >> 3, (start + count + 7) >> 3)
        octets = self._octets[touched]
        kept = int.from_bytes(octets, "little") & ~(((1 << count) - 1) << (start & 7))
        self._octets[touched] = kept.to_bytes(len(octets), "little")


def _trailing_ones(bits: int) -> int:
    return (~bits & (bits + 1)).bit_length() - 1


def _check_advertised(size: int) -> None:
    if not 1 <= size <= LARGEST_WINDOW:
        raise RemoteProtocolError(f"the proxy advertises a window of {size} tokens")
