"""TCP (RFC 9293): from where headers begin to the columns of `Segments`."""

from __future__ import annotations

import numpy as np

from traces.reading.internet import find_tcp
from traces.reading.link import find_network
from traces.reading.octets import big16, big32, take
from traces.reading.options import find_mptcp, find_syn, leading_timestamps
from traces.reading.packets import Packets
from traces.reading.segments import LONGEST_OPTIONS, Segments
from traces.reading.tally import Oddity, Tally

HEADER = 20
TIMESTAMP = HEADER + 4
FLAG_BITS = np.uint16(0x0FFF)


def segments(packets: Packets, file: int, tally: Tally) -> Segments:
    """The TCP segments among the packets of a piece."""
    datagrams = find_tcp(packets, find_network(packets, tally), tally)
    in_file = (packets.at + packets.captured)[datagrams.row]
    whole = datagrams.at + HEADER <= in_file
    tally.note_where(Oddity.CUT_HEADERS, packets.number[datagrams.row], ~whole)
    datagrams, in_file = datagrams[whole], in_file[whole]
    header = take(packets.octets, datagrams.at, HEADER + LONGEST_OPTIONS)
    size = (header[:, 12] >> 4).astype(np.int64) * 4
    sound = (size >= HEADER) & (datagrams.at + size <= datagrams.end)
    tally.note_where(Oddity.MALFORMED, packets.number[datagrams.row], ~sound)
    datagrams, in_file, header, size = datagrams[sound], in_file[sound], header[sound], size[sound]
    number, begin = packets.number[datagrams.row], datagrams.at + size
    tally.note_where(Oddity.CUT_OPTIONS, number, begin > in_file)
    flags = big16(header, 12) & FLAG_BITS
    options = np.minimum(begin, in_file) - datagrams.at - HEADER
    mptcp, malformed = find_mptcp(header[:, HEADER:], options)
    tally.note_where(Oddity.BAD_OPTIONS, number, malformed & (begin <= in_file))
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
        timestamp=np.where(leading_timestamps(header[:, HEADER:], options) > 0, big32(header, TIMESTAMP), 0).astype(
            np.uint32
        ),
        sequence=big32(header, 4),
        acknowledgement=big32(header, 8),
        flags=flags,
        window=big16(header, 14),
        payload=(datagrams.end - begin).astype(np.uint32),
        captured=np.clip(np.minimum(datagrams.end, in_file) - begin, 0, None).astype(np.uint32),
        payload_at=begin,
        octets=packets.octets,
        mptcp=mptcp,
        syn=find_syn(header[:, HEADER:], options, flags),
    )
