"""IPv4 and IPv6 (RFC 791, RFC 8200): where TCP begins in each packet, between whom, and how much of it there is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.reading.link import Network
from traces.reading.octets import big16, big32, take
from traces.reading.packets import Packets
from traces.reading.segments import Int64, UInt8, UInt16, UInt64
from traces.reading.tally import Oddity, Tally

TCP = 6
AUTHENTICATION, FRAGMENT = 51, 44
EXTENSIONS = (0, 43, FRAGMENT, AUTHENTICATION, 60, 135, 139, 140)
"""IPv6 extension headers (IANA), without those behind which nothing can be read."""
DEEPEST = 16
MAPPED = 0xFFFF << 32
NOT_TCP = 255
IPV4_HEADER, IPV6_HEADER = 20, 40


@dataclass(frozen=True, slots=True, eq=False)
class Datagrams:
    """The packets that carry TCP from its begin. Arrays of equal length."""

    row: Int64
    """Of the packet in its piece; ascending."""
    family: UInt8
    source: UInt64
    destination: UInt64
    hop_limit: UInt8
    identification: UInt16
    at: Int64
    """Where TCP begins in the octets of the piece."""
    end: Int64
    """Where it would end there if nothing had been cut."""

    def __getitem__(self, which: NDArray[np.bool_]) -> Datagrams:
        if which.all():  # as is usual: nothing to copy
            return self
        return Datagrams(*(getattr(self, name)[which] for name in self.__slots__))


def find_tcp(packets: Packets, network: Network, tally: Tally) -> Datagrams:
    """The packets with TCP, IPv4 and IPv6 in the order of the file."""
    found = [
        decode(packets, rows, network.at[rows], tally)
        for family, decode in ((4, _ipv4), (6, _ipv6))
        if len(rows := np.flatnonzero(network.family == family))
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        return _ipv4(packets, np.zeros(0, np.int64), np.zeros(0, np.int64), tally)
    both = Datagrams(*(np.concatenate([getattr(one, name) for one in found]) for name in Datagrams.__slots__))
    order = np.argsort(both.row, kind="stable")
    return Datagrams(*(getattr(both, name)[order] for name in Datagrams.__slots__))


def _wire_end(packets: Packets, rows: Int64, at: Int64, length: Int64) -> Int64:
    """Where a packet of this `length` at `at` ends.

    0 is the length of a packet that was captured before the network card cut it in pieces (TSO), or longer than the
    field can tell: there it is as long as the frame.
    """
    return np.where(length == 0, packets.at[rows] + packets.length[rows], at + length)


def _ipv4(packets: Packets, rows: Int64, at: Int64, tally: Tally) -> Datagrams:
    number, captured = packets.number[rows], (packets.at + packets.captured)[rows] - at
    header = take(packets.octets, at, IPV4_HEADER)
    size = (header[:, 0] & 15).astype(np.int64) * 4
    length = big16(header, 2).astype(np.int64)
    cut = captured < IPV4_HEADER
    is_tcp = ~cut & (header[:, 9] == TCP)
    malformed = ~cut & ((header[:, 0] >> 4 != 4) | (size < IPV4_HEADER) | ((length < size) & (length > 0)))
    later = is_tcp & ~malformed & (big16(header, 6) & 0x1FFF > 0)
    tally.note_where(Oddity.CUT_HEADERS, number, cut)
    tally.note_where(Oddity.MALFORMED, number, malformed)
    tally.note_where(Oddity.FRAGMENT, number, later)
    addresses = np.empty((len(rows), 2, 2), np.uint64)
    addresses[:, :, 0] = 0
    addresses[:, 0, 1] = big32(header, 12)
    addresses[:, 1, 1] = big32(header, 16)
    addresses[:, :, 1] |= MAPPED
    found = Datagrams(
        row=rows,
        family=np.full(len(rows), 4, np.uint8),
        source=addresses[:, 0],
        destination=addresses[:, 1],
        hop_limit=header[:, 8],
        identification=big16(header, 4),
        at=at + size,
        end=_wire_end(packets, rows, at, length),
    )
    return found[is_tcp & ~malformed & ~later]


def _ipv6(packets: Packets, rows: Int64, at: Int64, tally: Tally) -> Datagrams:
    number, captured = packets.number[rows], (packets.at + packets.captured)[rows] - at
    header = take(packets.octets, at, IPV6_HEADER)
    length = big16(header, 4).astype(np.int64)
    cut = captured < IPV6_HEADER
    malformed = ~cut & (header[:, 0] >> 4 != 6)
    protocol = np.where(cut | malformed, NOT_TCP, header[:, 6]).astype(np.uint8)
    size, later = _extensions(packets.octets, at, protocol, at + captured)
    cut |= (size > captured) | (np.isin(protocol, EXTENSIONS) & (size == captured))
    tally.note_where(Oddity.CUT_HEADERS, number, cut)
    tally.note_where(Oddity.MALFORMED, number, malformed)
    tally.note_where(Oddity.FRAGMENT, number, later & ~cut)
    addresses = header[:, 8:40].view(">u8").astype(np.uint64)
    found = Datagrams(
        row=rows,
        family=np.full(len(rows), 6, np.uint8),
        source=addresses[:, :2],
        destination=addresses[:, 2:],
        hop_limit=header[:, 7],
        identification=np.zeros(len(rows), np.uint16),
        at=at + size,
        end=_wire_end(packets, rows, at, np.where(length == 0, 0, length + IPV6_HEADER)),
    )
    return found[(protocol == TCP) & ~cut & ~later]


def _extensions(octets: UInt8, at: Int64, protocol: UInt8, end: Int64) -> tuple[Int64, NDArray[np.bool_]]:
    """Octets up to behind the extension headers, and which packets are later fragments; `protocol` becomes the last."""
    size, later = np.full(len(at), IPV6_HEADER, np.int64), np.zeros(len(at), np.bool_)
    for _ in range(DEEPEST):
        rows = np.flatnonzero(np.isin(protocol, EXTENSIONS) & ~later & (at + size < end))
        if not len(rows):
            break
        header, kind = take(octets, at[rows] + size[rows], 4), protocol[rows]
        words = header[:, 1].astype(np.int64)
        lengths = np.where(kind == AUTHENTICATION, (words + 2) * 4, (words + 1) * 8)
        size[rows] += np.where(kind == FRAGMENT, 8, lengths)
        later[rows] = (kind == FRAGMENT) & (big16(header, 2) >> 3 > 0)
        protocol[rows] = header[:, 0]
    return size, later
