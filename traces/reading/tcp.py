"""TCP (RFC 9293): from where headers begin to the columns of `Segments`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traces.reading.internet import Datagrams, find_tcp
from traces.reading.link import find_network
from traces.reading.octets import big16, big32, take
from traces.reading.options import find_mptcp, find_syn, leading_timestamps
from traces.reading.packets import Packets
from traces.reading.segments import LONGEST_OPTIONS, Int64, Segments, UInt8
from traces.reading.tally import Oddity, Tally

HEADER = 20
TIMESTAMP = HEADER + 4
FLAG_BITS = np.uint16(0x0FFF)


@dataclass(frozen=True, slots=True, eq=False)
class _Headers:
    """The packets whose TCP headers are there, but for options that may be cut. Arrays of equal length."""

    datagrams: Datagrams
    octets: UInt8
    """Shape (segments, 60): from the begin of the header on."""
    size: Int64
    """Of the header with its options."""
    in_file: Int64
    """Where the packet ends in the octets of the piece."""


def segments(packets: Packets, file: int, tally: Tally) -> Segments:
    """The TCP segments among the packets of a piece."""
    headers = _find_headers(packets, tally)
    datagrams, header, in_file = headers.datagrams, headers.octets, headers.in_file
    number, begin = packets.number[datagrams.row], datagrams.at + headers.size
    flags, all_options = big16(header, 12) & FLAG_BITS, header[:, HEADER:]
    options = np.minimum(begin, in_file) - datagrams.at - HEADER
    mptcp, malformed = find_mptcp(all_options, options)
    tally.note_where(Oddity.CUT_OPTIONS, number, begin > in_file)
    tally.note_where(Oddity.BAD_OPTIONS, number, malformed & (begin <= in_file))
    has_timestamp = leading_timestamps(all_options, options) > 0
    return Segments(
        file=file,
        number=number,
        interface=packets.interface[datagrams.row],
        time=packets.time[datagrams.row],
        family=datagrams.family,
        source=datagrams.source,
        destination=datagrams.destination,
        source_port=big16(header, 0),
        destination_port=big16(header, 2),
        hop_limit=datagrams.hop_limit,
        identification=datagrams.identification,
        timestamp=np.where(has_timestamp, big32(header, TIMESTAMP), 0).astype(np.uint32),
        sequence=big32(header, 4),
        acknowledgement=big32(header, 8),
        flags=flags,
        window=big16(header, 14),
        payload=(datagrams.end - begin).astype(np.uint32),
        captured=np.clip(np.minimum(datagrams.end, in_file) - begin, 0, None).astype(np.uint32),
        payload_at=begin,
        octets=packets.octets,
        mptcp=mptcp,
        syn=find_syn(all_options, options, flags),
    )


def _find_headers(packets: Packets, tally: Tally) -> _Headers:
    """Those of the packets with TCP; what is cut within the first 20 octets, or cannot be, is noted and left out."""
    datagrams = find_tcp(packets, find_network(packets, tally), tally)
    in_file = (packets.at + packets.captured)[datagrams.row]
    whole = datagrams.at + HEADER <= in_file
    tally.note_where(Oddity.CUT_HEADERS, packets.number[datagrams.row], ~whole)
    datagrams, in_file = datagrams[whole], in_file[whole]
    octets = take(packets.octets, datagrams.at, HEADER + LONGEST_OPTIONS)
    size = (octets[:, 12] >> 4).astype(np.int64) * 4
    sound = (size >= HEADER) & (datagrams.at + size <= datagrams.end)
    tally.note_where(Oddity.MALFORMED, packets.number[datagrams.row], ~sound)
    if sound.all():
        return _Headers(datagrams, octets, size, in_file)
    return _Headers(datagrams[sound], octets[sound], size[sound], in_file[sound])
