"""What happened when: MPTCP options other than data, and subflows that open and end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

import numpy as np

from traces.mptcp.data import Maps
from traces.mptcp.flows import Flows
from traces.mptcp.handshake import BACKUP
from traces.mptcp.keys import address_hmac
from traces.mptcp.membership import Draft
from traces.mptcp.model import Direction, Event, EventKind, Proof
from traces.mptcp.options import Option, Subtype
from traces.mptcp.streams import Streams
from traces.mptcp.table import FIN, RST, endpoint

ECHO = 0x01
"""Flag E of an ADD_ADDR of version 1 (RFC 8684 section 3.4.1)."""
KINDS = {
    Subtype.REMOVE_ADDR: EventKind.REMOVE_ADDR,
    Subtype.MP_PRIO: EventKind.MP_PRIO,
    Subtype.MP_FAIL: EventKind.MP_FAIL,
    Subtype.MP_FASTCLOSE: EventKind.FASTCLOSE,
    Subtype.MP_TCPRST: EventKind.TCPRST,
}
RESET_REASONS = (
    "unspecified error", "MPTCP-specific error", "lack of resources", "administratively prohibited",
    "too much outstanding data", "unacceptable performance", "middlebox interference",
)  # fmt: skip
"""By code (RFC 8684 section 3.6)."""


def find_events(flows: Flows, streams: Streams, drafts: list[Draft], maps: Maps) -> list[list[Event]]:
    """The events of each connection, in the order of time."""
    events: list[list[tuple[int, Event]]] = [[] for _ in drafts]
    for row, event in _all(flows, streams, drafts, maps):
        events[streams.connection[flows.table.flow[row]]].append((row, event))
    return [_once(event for _, event in sorted(some, key=lambda pair: pair[0])) for some in events]


def _all(flows: Flows, streams: Streams, drafts: list[Draft], maps: Maps) -> Iterator[tuple[int, Event]]:
    table = flows.table

    def event(row: int, kind: EventKind, detail: str = "") -> tuple[int, Event]:
        flow = table.flow[row]
        direction = streams.direction(row)
        return row, Event(int(table.time[row]) / 1e9, kind, int(streams.subflow[flow]), direction, detail)

    for option in table.options:
        number = int(streams.connection[table.flow[option.row]])
        if number >= 0 and option.is_well_formed:
            draft, direction = drafts[number], streams.direction(option.row)
            told = _told(option, draft, direction)
            if told:
                yield event(option.row, *told)
    for at in np.flatnonzero(maps.fin & (maps.octets > 0)):
        yield event(int(maps.row[at]), EventKind.DATA_FIN, f"after {maps.position[at] + maps.octets[at] - 2} octets")
    ends = np.flatnonzero(table.flags & (FIN | RST))
    ends = ends[streams.connection[table.flow[ends]] >= 0]
    for row in ends:
        yield event(int(row), EventKind.SUBFLOW_RST if table.flags[row] & RST else EventKind.SUBFLOW_FIN)
    members, first = np.unique(table.flow, return_index=True)
    for flow, row in zip(members, first, strict=True):
        if streams.connection[flow] >= 0:
            yield event(int(row), EventKind.SUBFLOW_OPENED, str(flows.flows[flow]))


def _once(events: Iterable[Event]) -> list[Event]:
    """What a side says again, nothing else of that sort having come in between, happened once."""
    found: list[Event] = []
    last: dict[tuple[int, Direction, EventKind], Event] = {}
    for event in events:
        # An address may be announced again after it was removed.
        sort = EventKind.ADD_ADDR if event.kind is EventKind.REMOVE_ADDR else event.kind
        slot = (event.subflow, event.direction, sort)
        previous = last.get(slot)
        if previous is None or (event.kind, event.detail) != (previous.kind, previous.detail):
            found.append(event)
        last[slot] = event
    return found


def _told(option: Option, draft: Draft, direction: Direction) -> tuple[EventKind, str] | None:
    octets = option.octets
    match option.subtype:
        case Subtype.ADD_ADDR:
            return _add_addr(octets, draft, direction)
        case Subtype.REMOVE_ADDR:
            detail = "id " + ", ".join(str(number) for number in octets[3:])
        case Subtype.MP_PRIO:
            detail = ("backup" if octets[2] & BACKUP else "regular") + (f", id {octets[3]}" if len(octets) > 3 else "")
        case Subtype.MP_FAIL:
            detail = f"DSN {int.from_bytes(octets[4:12], 'big')}"
        case Subtype.MP_FASTCLOSE:
            detail = f"key {_proof(draft.keys[1 - direction], octets[4:12])}"
        case Subtype.MP_TCPRST:
            reason = octets[3]
            named = RESET_REASONS[reason] if reason < len(RESET_REASONS) else "unknown"
            detail = f"reason {reason} ({named})" + (", transient" if octets[2] & 1 else "")
        case _:
            return None
    return KINDS[Subtype(option.subtype)], detail


def _add_addr(octets: bytes, draft: Draft, direction: Direction) -> tuple[EventKind, str]:
    """In version 0 the first nibble names the IP version, and there is no HMAC (RFC 6824 section 3.4.1)."""
    nibble, size = octets[2] & 0x0F, len(octets)
    old = nibble in {4, 6}
    address_size = 4 if size in {8, 10, 16, 18} and (not old or nibble == 4) else 16
    address, rest = octets[4 : 4 + address_size], octets[4 + address_size :]
    port = int.from_bytes(rest[:2], "big") if len(rest) in {2, 10} else 0
    where = str(ip_address(address)) if len(address) in {4, 16} else address.hex()
    if port:
        where = endpoint(where, port)
    detail = f"id {octets[3]}, {where}"
    if not old and nibble & ECHO:
        return EventKind.ADD_ADDR_ECHO, detail
    if len(rest) >= 8:
        keys = draft.keys[direction], draft.keys[1 - direction]
        expected = address_hmac((keys[0], keys[1]), octets[3], address, port) if keys[0] and keys[1] else None
        detail += f", HMAC {_proof(expected, rest[-8:])}"
    return EventKind.ADD_ADDR, detail


def _proof(expected: bytes | None, there: bytes) -> Proof:
    if expected is None:
        return Proof.UNKNOWN
    return Proof.RIGHT if expected == there else Proof.WRONG
