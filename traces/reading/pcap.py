"""The classic pcap format: a header, then packets one after the other."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from traces.reading.octets import numbers, take
from traces.reading.packets import LARGEST_SNAP_LENGTH, UNKNOWN_LINK, Packets
from traces.reading.scan import Layout, scan
from traces.reading.segments import Int64, UInt32
from traces.reading.stream import Window
from traces.reading.tally import Oddity, Tally

FILE_HEADER, RECORD_HEADER = 24, 16
LENGTH_AT = 8
LINK_BITS = 0x03FFFFFF  # above them: the length of the frame check sequence
MOST_SNAP_LENGTH = 1 << 24
MAGICS = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
"""Nanoseconds of a unit of its fractions of seconds."""


@dataclass(frozen=True, slots=True)
class Format:
    """How the numbers of a file are written."""

    order: str
    unit: int
    """Nanoseconds."""

    @property
    def layout(self) -> Layout:
        """Of its records. Seconds change slowly: all but their lowest octet are a marker."""
        return Layout(self.order, LENGTH_AT, RECORD_HEADER, slice(1, 4) if self.order == "<" else slice(0, 3))

    @property
    def units(self) -> int:
        """Of a second."""
        return 1_000_000_000 // self.unit


def find_format(start: bytes) -> Format | None:
    """That of a pcap file which starts with these four octets; None when it is none."""
    for order in "<>":
        unit = MAGICS.get(struct.unpack(f"{order}I", start)[0])
        if unit:
            return Format(order, unit)
    return None


class PcapReader:
    """The packets of a file, in pieces."""

    def __init__(self, window: Window, format_: Format, tally: Tally, interface: int) -> None:
        self._window = window
        self._format = format_
        self._tally = tally
        self._interface = interface
        self._number = 1
        """Of the next packet."""
        self._link = 0
        self._largest = LARGEST_SNAP_LENGTH

    def pieces(self, most: int) -> Iterator[Packets]:
        """So many packets at most in each; ends where the file does, or where it is damaged."""
        window = self._window
        if not window.has(FILE_HEADER):
            self._tally.say("it ends within its header")
            return
        self._read_header()
        while window.has(RECORD_HEADER):
            starts = scan(window.octets, window.at, window.end, self._format.layout, most)
            records = numbers(take(window.octets, starts, RECORD_HEADER), self._format.order)
            sound = self._sound(records)
            if not sound:
                self._tally.say(self._damage(int(records[0, 2])))
                return
            whole = min(sound, len(starts) - 1)
            if whole:
                yield self._packets(starts[:whole], records[:whole])
                window.at, self._number = int(starts[whole]), self._number + whole
            elif not window.has(RECORD_HEADER + int(records[0, 2])):
                break
        if window.at < window.end:
            self._tally.say(f"it ends within packet {self._number}")

    def _read_header(self) -> None:
        header = bytes(self._window.octets[self._window.at : self._window.at + FILE_HEADER])
        snap_length, link = struct.unpack_from(f"{self._format.order}II", header, 16)
        self._largest = max(LARGEST_SNAP_LENGTH, min(snap_length, MOST_SNAP_LENGTH))
        self._link = min(link & LINK_BITS, UNKNOWN_LINK)
        self._window.at += FILE_HEADER

    def _sound(self, records: UInt32) -> int:
        """How many of the records can be as they are; a file may go on with zeros that were never written."""
        damaged = (records[:, 2] > self._largest) | ~records.any(axis=1)
        return int(damaged.argmax()) if damaged.any() else len(records)

    def _damage(self, length: int) -> str:
        what = f"a length of {length} octets" if length else "nothing but zeros"
        return (
            f"packet {self._number}, at octet {self._window.place}, has {what} in its record: it or the one before it "
            "is damaged, and nothing behind it is read"
        )

    def _packets(self, starts: Int64, records: UInt32) -> Packets:
        number = np.arange(self._number, self._number + len(starts))
        seconds, fraction, captured, length = (records[:, column].astype(np.int64) for column in range(4))
        self._tally.note_where(Oddity.ODD_RECORD, number, (fraction >= self._format.units) | (captured > length))
        return Packets(
            seen=len(starts),
            octets=self._window.octets,
            number=number,
            interface=np.full(len(starts), self._interface, np.uint16),
            link=np.full(len(starts), self._link, np.uint16),
            time=seconds * 1_000_000_000 + fraction * self._format.unit,
            at=starts + RECORD_HEADER,
            captured=captured,
            length=np.maximum(captured, length),
        )
