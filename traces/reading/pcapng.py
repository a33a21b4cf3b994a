"""The pcapng format (draft-ietf-opsawg-pcapng): sections of blocks, each section with interfaces of its own."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np

from traces.reading.blocks import PACKETS, TRAILER, read_fields
from traces.reading.interfaces import Interface, describe
from traces.reading.octets import numbers, take
from traces.reading.packets import Packets, Register, joined
from traces.reading.scan import Layout, scan
from traces.reading.segments import Int64, UInt32, UInt64
from traces.reading.stream import Window
from traces.reading.tally import Oddity, Tally

SECTION = 0x0A0D0D0A  # reads the same in both byte orders
INTERFACE = 1
MAGIC = SECTION.to_bytes(4, "big")
ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
"""By the byte-order magic of a section header."""
LENGTH_AT, SMALLEST, LARGEST = 4, 12, 1 << 24
BYTE_ORDERS: dict[str, Literal["big", "little"]] = {">": "big", "<": "little"}


class PcapngReader:
    """The packets of a file, in pieces."""

    def __init__(self, window: Window, tally: Tally, register: Register) -> None:
        self._window = window
        self._tally = tally
        self._register = register
        self._order = "<"
        self._interfaces: list[Interface] = []
        """Of the section."""
        self._names: Counter[str] = Counter()
        """How many interfaces of the section have a name."""
        self._number = 1
        """Of the next packet."""

    def pieces(self, most: int) -> Iterator[Packets]:
        """So many blocks at most in each; ends where the file does, or where it is damaged."""
        window = self._window
        while window.has(SMALLEST):
            if bytes(window.octets[window.at : window.at + 4]) == MAGIC and not self._begin_section(window.at):
                self._tally.say(
                    f"the section header at octet {window.place} has no byte order: nothing behind it is read"
                )
                return
            layout = Layout(self._order, LENGTH_AT, 0, slice(0, 4))  # the kind is the marker
            starts = scan(window.octets, window.at, window.end, layout, most)
            blocks = numbers(take(window.octets, starts, 8), self._order)
            sound = self._sound(starts, blocks)
            if not sound:
                self._tally.say(self._damage(int(blocks[0, 1])))
                return
            whole = min(sound, len(starts) - 1)
            if whole:
                parts, done = self._sections(starts[:whole], blocks[:whole, 0])
                yield joined(parts)
                window.at = int(starts[done])
            elif not window.has(int(blocks[0, 1])):
                break
        if window.at < window.end:
            self._tally.say(f"it ends within the block behind packet {self._number - 1}")

    def _sections(self, starts: Int64, kinds: UInt32) -> tuple[list[Packets], int]:
        """The packets section by section, and how many blocks these have: up to where another byte order begins."""
        parts: list[Packets] = []
        begins = np.flatnonzero(kinds[1:] == SECTION) + 1
        for begin, end in pairwise([0, *begins.tolist(), len(starts)]):
            before = self._order
            if begin and not (self._begin_section(int(starts[begin])) and self._order == before):
                return parts, begin
            parts.append(self._packets(starts[begin:end], kinds[begin:end]))
        return parts, len(starts)

    def _begin_section(self, at: int) -> bool:
        """Take the byte order from a section header, whose interfaces follow it; false where it has none."""
        order = ORDERS.get(bytes(self._window.octets[at + 8 : at + 12]))
        if order is None:
            return False
        self._order, self._interfaces, self._names = order, [], Counter()
        return True

    def _sound(self, starts: Int64, blocks: UInt32) -> int:
        """How many of the blocks have a length that can be, and the same one again at their end."""
        length = blocks[:, 1].astype(np.int64)
        damaged = (length < SMALLEST) | (length > LARGEST)
        trailers = np.clip(starts + length - TRAILER, 0, self._window.end)[:-1]
        damaged[:-1] |= numbers(take(self._window.octets, trailers, TRAILER), self._order)[:, 0] != length[:-1]
        return int(damaged.argmax()) if damaged.any() else len(blocks)

    def _damage(self, length: int) -> str:
        return (
            f"the block at octet {self._window.place}, behind packet {self._number - 1}, is damaged: {length} octets "
            "is no length that it can have, or its end says another one; nothing behind it is read"
        )

    def _packets(self, starts: Int64, kinds: UInt32) -> Packets:
        """The packets in these blocks, after a look at the interfaces that they describe."""
        octets = self._window.octets
        for start in starts[kinds == INTERFACE]:
            self._add_interface(int(start))
        starts = starts[np.isin(kinds, PACKETS)]
        snap_length = self._interfaces[0].snap_length if self._interfaces else 0
        fields = read_fields(octets, starts, self._order, snap_length)
        number = np.arange(self._number, self._number + len(starts))
        self._number += len(starts)
        known = fields.interface < len(self._interfaces)
        self._tally.note_where(Oddity.NO_INTERFACE, number, ~known)
        self._tally.note_where(Oddity.TOO_LONG, number, known & ~fields.fits)
        self._tally.note_where(Oddity.NO_TIME, number, fields.timeless)
        self._tally.note_where(Oddity.ODD_RECORD, number, fields.captured > fields.length)
        kept = known & fields.fits
        interface = fields.interface[kept]
        return Packets(
            seen=len(starts),
            octets=octets,
            number=number[kept],
            interface=np.array([one.index for one in self._interfaces], np.uint16)[interface],
            link=np.array([one.link for one in self._interfaces], np.uint16)[interface],
            time=self._times(interface, fields.ticks[kept]),
            at=fields.at[kept],
            captured=fields.captured[kept],
            length=np.maximum(fields.length, fields.captured)[kept],
        )

    def _times(self, interface: Int64, ticks: UInt64) -> Int64:
        times = np.zeros(len(ticks), np.int64)
        for one in np.unique(interface):
            rows = interface == one
            times[rows] = self._interfaces[one].nanoseconds(ticks[rows])
        return times

    def _add_interface(self, at: int) -> None:
        size = int.from_bytes(self._window.octets[at + 4 : at + 8].tobytes(), BYTE_ORDERS[self._order])
        name, interface = describe(self._window.octets[at : at + size].tobytes(), self._order)
        self._interfaces.append(dataclasses.replace(interface, index=self._register(name, self._names[name])))
        self._names[name] += 1
