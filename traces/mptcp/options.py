"""MPTCP options out of their octets (RFC 8684 section 3, RFC 6824 section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from traces.reading.segments import Bool, Int32, Int64, MptcpOptions, UInt8, UInt16, UInt32, UInt64

FIN, LONG_DSN, MAPPING, LONG_ACK, ACK = 0x10, 0x08, 0x04, 0x02, 0x01
"""Flags of a DSS option, in its fourth octet (RFC 8684 section 3.3)."""
DSS_FLAGS = 0x1F
END_OF_OPTIONS, NO_OPERATION, WINDOW_SCALE, TIMESTAMPS = 0, 1, 3, 8
"""Kinds of TCP options (RFC 9293 section 3.1, RFC 7323)."""


class Subtype(IntEnum):
    """MPTCP option subtypes (RFC 8684 section 8.1)."""

    MP_CAPABLE = 0
    MP_JOIN = 1
    DSS = 2
    ADD_ADDR = 3
    REMOVE_ADDR = 4
    MP_PRIO = 5
    MP_FAIL = 6
    MP_FASTCLOSE = 7
    MP_TCPRST = 8
    MP_EXPERIMENTAL = 15


LENGTHS: dict[int, frozenset[int]] = {
    Subtype.MP_CAPABLE: frozenset({4, 12, 20, 22, 24}),
    Subtype.MP_JOIN: frozenset({12, 16, 24}),
    Subtype.ADD_ADDR: frozenset({8, 10, 16, 18, 20, 22, 28, 30}),
    Subtype.REMOVE_ADDR: frozenset(range(4, 41)),
    Subtype.MP_PRIO: frozenset({3, 4}),
    Subtype.MP_FAIL: frozenset({12}),
    Subtype.MP_FASTCLOSE: frozenset({12}),
    Subtype.MP_TCPRST: frozenset({4}),
    Subtype.MP_EXPERIMENTAL: frozenset(range(3, 41)),
}
"""Octets that an option of a subtype can have, in either version; those of a DSS follow from its flags."""


@dataclass(slots=True, eq=False)
class Dss:
    """Data Sequence Signals. Arrays of equal length, in the order of the segments."""

    row: Int32
    flags: UInt8
    ack: UInt64
    """As on the wire: 32 bits without `LONG_ACK`."""
    dsn: UInt64
    """As on the wire: 32 bits without `LONG_DSN`."""
    ssn: UInt32
    length: UInt16
    """Of the mapping; with `FIN` it counts the DATA_FIN."""
    checksum: UInt16
    checked: Bool
    """Whether there is a checksum."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option that is no DSS."""

    row: int
    subtype: int
    octets: bytes

    @property
    def is_well_formed(self) -> bool:
        """Whether the subtype is known, and the length is one that it can have."""
        return len(self.octets) in LENGTHS.get(self.subtype, ())


def parse_dss(options: MptcpOptions) -> tuple[Dss, Int64]:
    """The DSS options, and the rows of the segments with a DSS whose length does not fit its flags."""
    chosen = np.flatnonzero(options.subtype == Subtype.DSS)
    octets, length = options.octets[chosen], options.length[chosen]
    flags = octets[:, 3] & DSS_FLAGS
    ack, dsn, ssn, covered, checksum = (np.zeros(len(chosen), np.uint64) for _ in range(5))
    expected = np.zeros(len(chosen), np.uint8)
    for pattern in np.unique(flags):
        rows = np.flatnonzero(flags == pattern)
        same, at = octets[rows], 4
        if pattern & ACK:
            ack[rows], at = _numbers(same, at, 8 if pattern & LONG_ACK else 4)
        if pattern & MAPPING:
            dsn[rows], at = _numbers(same, at, 8 if pattern & LONG_DSN else 4)
            ssn[rows], at = _numbers(same, at, 4)
            covered[rows], at = _numbers(same, at, 2)
            checksum[rows], _ = _numbers(same, at, 2)
        expected[rows] = at
    checked = (flags & MAPPING > 0) & (length == expected + 2)
    good = (length == expected) | checked
    row = options.row[chosen]
    return Dss(
        row=row[good].astype(np.int32), flags=flags[good], ack=ack[good], dsn=dsn[good],
        ssn=ssn[good].astype(np.uint32), length=covered[good].astype(np.uint16),
        checksum=checksum[good].astype(np.uint16), checked=checked[good],
    ), row[~good]  # fmt: skip


def _numbers(octets: UInt8, at: int, size: int) -> tuple[UInt64, int]:
    """The big-endian numbers in columns `at` to `at + size`, and where the next field begins."""
    columns = np.ascontiguousarray(octets[:, at : at + size])
    return columns.view(f">u{size}")[:, 0].astype(np.uint64), at + size


def other_options(options: MptcpOptions) -> list[Option]:
    """All that are no DSS; there are few of them."""
    return [
        Option(int(options.row[at]), int(options.subtype[at]), options.octets[at, : options.length[at]].tobytes())
        for at in np.flatnonzero(options.subtype != Subtype.DSS)
    ]


def find_option(options: bytes, kind: int) -> bytes:
    """The value of the first TCP option of that kind; empty when there is none."""
    at = 0
    while at + 1 < len(options) and options[at] != END_OF_OPTIONS:
        length = 1 if options[at] == NO_OPERATION else options[at + 1]
        if options[at] == kind:
            return options[at + 2 : at + length]
        if not length or at + length > len(options):
            break
        at += length
    return b""
