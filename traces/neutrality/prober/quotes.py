"""What an ICMP error quotes, compared field by field with the SYN that was sent. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from traces.neutrality.model import Answer, Quote
from traces.neutrality.prober.packets import (
    END_OF_OPTIONS,
    ICMP,
    ICMPV6,
    NO_OPERATION,
    TCP,
    Address,
    addresses_of,
    option_list,
    split_ip,
)

ERRORS = {
    (ICMP, 11): Answer.TIME_EXCEEDED,
    (ICMP, 3): Answer.UNREACHABLE,
    (ICMPV6, 3): Answer.TIME_EXCEEDED,
    (ICMPV6, 1): Answer.UNREACHABLE,
}
TCP_FIELDS = (
    ("source port", 0, 2), ("destination port", 2, 4), ("sequence number", 4, 8), ("acknowledgement number", 8, 12),
    ("flags", 13, 14), ("window", 14, 16), ("urgent pointer", 18, 20),
)  # fmt: skip
"""Name, first octet and end in the TCP header. The checksum is left out: whoever changes a field must mend it."""


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An ICMP error about a TCP segment, with as much of the packet as it quotes."""

    answer: Answer
    router: Address
    quoted: bytes

    @property
    def ports(self) -> tuple[int, int]:
        """Source and destination port of the segment it is about."""
        parts = split_ip(self.quoted)
        assert parts is not None
        ports: tuple[int, int] = struct.unpack_from("!HH", parts[2])
        return ports


def parse_error(octets: bytes) -> IcmpError | None:
    """The ICMP error in an IP packet; None when it is no error, or quotes no TCP segment with its ports."""
    parts = split_ip(octets)
    if parts is None or len(parts[2]) < 8:
        return None
    protocol, header, message = parts
    answer = ERRORS.get((protocol, message[0]))
    inner = split_ip(message[8:])
    if answer is None or inner is None or inner[0] != TCP or len(inner[2]) < 4:
        return None
    return IcmpError(answer, addresses_of(header)[0], message[8:])


def compare(sent: bytes, error: IcmpError) -> Quote:
    """How the quoted packet differs from `sent`, by the names of the fields; options are named `option KIND`."""
    ours, theirs = split_ip(sent), split_ip(error.quoted)
    assert ours is not None
    assert theirs is not None
    tcp, quoted = ours[2], _within_datagram(theirs[1], theirs[2])
    length = (quoted[12] >> 4) * 4 if len(quoted) >= 13 else 0
    has_options = 20 <= length <= len(quoted)
    changed = [*_ip_changes(ours[1], theirs[1]), *_header_changes(tcp, quoted)]
    if has_options:
        changed += _option_changes(tcp[20:], quoted[20:length])
    return Quote(str(error.router), tuple(changed), has_options)


def _within_datagram(header: bytes, quoted: bytes) -> bytes:
    """Without what routers append (RFC 4884) and the padding before it: the datagram says where it ends."""
    if header[0] >> 4 == 4:
        (total,) = struct.unpack_from("!H", header, 2)
        return quoted[: max(0, total - len(header))]
    (payload,) = struct.unpack_from("!H", header, 4)
    return quoted[:payload]


def _ip_changes(sent: bytes, quoted: bytes) -> Iterator[str]:
    """TTL and header checksum aside, which every router changes."""
    if sent[0] >> 4 == 6:
        if struct.unpack_from("!I", sent)[0] & 0x0FF00000 != struct.unpack_from("!I", quoted)[0] & 0x0FF00000:
            yield "traffic class"
        lengths = (4, 6)
    else:
        fields = (("type of service", 1, 2), ("identification", 4, 6), ("fragmentation", 6, 8))
        yield from (name for name, start, end in fields if sent[start:end] != quoted[start:end])
        lengths = (2, 4)
    if sent[slice(*lengths)] != quoted[slice(*lengths)]:
        yield "total length"
    (source, destination, _), (source_then, destination_then, _) = addresses_of(sent), addresses_of(quoted)
    if source != source_then:
        yield "source address"
    if destination != destination_then:
        yield "destination address"


def _header_changes(sent: bytes, quoted: bytes) -> Iterator[str]:
    for name, start, end in TCP_FIELDS:
        if len(quoted) >= end and sent[start:end] != quoted[start:end]:
            yield name


def _option_changes(sent: bytes, quoted: bytes) -> Iterator[str]:
    """Padding aside: what replaces an option by padding changes that option alone."""
    padding = (END_OF_OPTIONS, NO_OPERATION)
    ours = [(kind, content) for kind, content in option_list(sent) if kind not in padding]
    theirs = [(kind, content) for kind, content in option_list(quoted) if kind not in padding]
    kinds = dict.fromkeys(kind for kind, _ in ours + theirs)
    touched = [kind for kind in kinds if dict(ours).get(kind) != dict(theirs).get(kind)]
    yield from (f"option {kind}" for kind in touched)
    untouched = [[kind for kind, _ in options if kind not in touched] for options in (ours, theirs)]
    if untouched[0] != untouched[1]:
        yield "order of options"
