"""From the link layer to IP: where the IP header begins in each packet, and of which version it should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from traces.reading.octets import big16, take
from traces.reading.packets import Packets
from traces.reading.segments import Int64, UInt8, UInt16
from traces.reading.tally import Oddity, Tally

NULL, ETHERNET, PPP, PPP_HDLC, RAW, LOOP, COOKED_V1, COOKED_V2, IPV4, IPV6 = 0, 1, 9, 50, 101, 108, 113, 276, 228, 229
RAW_BSD, RAW_OPENBSD = 12, 14

TYPE_IPV4, TYPE_IPV6 = 0x0800, 0x86DD
TAGS = (0x8100, 0x88A8, 0x9100)
"""IEEE 802.1Q, 802.1ad, and what was used for the outer tag before there was 802.1ad."""
PPPOE = 0x8864
PPP_IPV4, PPP_IPV6 = 0x0021, 0x0057
DEEPEST = 8
"""Tags that a packet may have one in the other."""
FAMILIES_IPV6 = (10, 24, 28, 30)
"""AF_INET6 on Linux, NetBSD and OpenBSD, FreeBSD, and macOS; AF_INET is 2 everywhere."""


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Of each packet of a piece."""

    at: Int64
    """Where the IP header begins."""
    family: UInt8
    """4 or 6; 0 when it is not IP."""


Decode = Callable[[UInt8, Int64], tuple[Int64, UInt16]]
"""From where packets begin to where their link header ends, and the EtherType of what follows (0: something else)."""


def find_network(packets: Packets, tally: Tally) -> Network:
    """Where IP begins; packets that end within their link headers are noted."""
    at, kinds = packets.at.copy(), np.zeros(len(packets.at), np.uint16)
    for link in np.unique(packets.link):
        rows = packets.link == link
        decode = DECODERS.get(int(link))
        if decode is None:
            tally.note(Oddity.UNKNOWN_LINK, packets.number[rows], str(link))
        else:
            at[rows], kinds[rows] = decode(packets.octets, packets.at[rows])
    end = packets.at + packets.captured
    at = _untagged(packets.octets, at, kinds, end)
    family = np.where(kinds == TYPE_IPV4, 4, np.where(kinds == TYPE_IPV6, 6, 0)).astype(np.uint8)
    cut = (at > end) | (packets.captured == 0)
    tally.note_where(Oddity.CUT_HEADERS, packets.number, cut)
    family[cut] = 0
    return Network(at, family)


def without_header(packets: Packets, header: int) -> Packets:
    """The packets as if IP began behind so many octets, whatever the file says of its link layer."""
    at, left = packets.at + header, np.maximum(packets.captured - header, 0)
    return replace(packets, at=at, captured=left, link=np.full_like(packets.link, RAW))


def _untagged(octets: UInt8, at: Int64, kinds: UInt16, end: Int64) -> Int64:
    """Where each packet goes on behind its VLAN tags and its PPPoE header; changes `kinds` to what follows them."""
    for _ in range(DEEPEST):
        tagged = np.flatnonzero(np.isin(kinds, (*TAGS, PPPOE)) & (at <= end))
        if not len(tagged):
            break
        header = take(octets, at[tagged], 8)
        session = kinds[tagged] == PPPOE
        protocol = np.where(session, _ethertype(big16(header, 6)), big16(header, 2))
        at[tagged] += np.where(session, 8, 4)
        kinds[tagged] = protocol
    return at


def _ethertype(protocol: UInt16) -> UInt16:
    """The EtherType for a PPP protocol number."""
    return np.where(protocol == PPP_IPV4, TYPE_IPV4, np.where(protocol == PPP_IPV6, TYPE_IPV6, 0)).astype(np.uint16)


def _typed(header: int, type_at: int) -> Decode:
    """A header of fixed length with an EtherType in it."""

    def decode(octets: UInt8, at: Int64) -> tuple[Int64, UInt16]:
        return at + header, big16(take(octets, at + type_at, 2), 0)

    return decode


def _raw(octets: UInt8, at: Int64) -> tuple[Int64, UInt16]:
    version = octets[at] >> 4
    return at, np.where(version == 4, TYPE_IPV4, np.where(version == 6, TYPE_IPV6, 0)).astype(np.uint16)


def _always(kind: int) -> Decode:
    return lambda _octets, at: (at, np.full(len(at), kind, np.uint16))


def _ppp(octets: UInt8, at: Int64) -> tuple[Int64, UInt16]:
    """RFC 1661, with or without the address and control octets of RFC 1662, the protocol in one octet or two."""
    start = take(octets, at, 4)
    framed = start[:, 0] == 0xFF  # the address octet; no protocol begins so
    first, second = np.where(framed, start[:, 2], start[:, 0]), np.where(framed, start[:, 3], start[:, 1])
    short = first & 1 == 1
    protocol = np.where(short, first, first.astype(np.uint16) << 8 | second).astype(np.uint16)
    return at + np.where(framed, 2, 0) + np.where(short, 1, 2), _ethertype(protocol)


def _loopback(octets: UInt8, at: Int64) -> tuple[Int64, UInt16]:
    """The address family of the machine that wrote the file, in its own byte order (NULL), or in the network's."""
    start = take(octets, at, 4)
    family = np.where(start[:, 0] == 0, start[:, 3], start[:, 0])
    kind = np.where(family == 2, TYPE_IPV4, np.where(np.isin(family, FAMILIES_IPV6), TYPE_IPV6, 0))
    return at + 4, kind.astype(np.uint16)


DECODERS: dict[int, Decode] = {
    NULL: _loopback,
    LOOP: _loopback,
    ETHERNET: _typed(14, 12),
    COOKED_V1: _typed(16, 14),
    COOKED_V2: _typed(20, 0),
    PPP: _ppp,
    PPP_HDLC: _ppp,
    RAW: _raw,
    RAW_BSD: _raw,
    RAW_OPENBSD: _raw,
    IPV4: _always(TYPE_IPV4),
    IPV6: _always(TYPE_IPV6),
}
