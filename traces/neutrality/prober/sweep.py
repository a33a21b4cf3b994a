"""Sends the SYNs of all arms, each with a 4-tuple of its own, and matches what comes back to them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from traces.neutrality.model import Answer, Probe
from traces.neutrality.prober.packets import (
    ACK,
    RST,
    SYN,
    Address,
    Flow,
    Segment,
    fingerprint,
    parse_segment,
    reset,
    syn,
)
from traces.neutrality.prober.plan import FULL_TTL, Effort, Shot, shots
from traces.neutrality.prober.quotes import compare, parse_error
from traces.neutrality.prober.wire import Wire

PORTS = range(61000, 65500)
"""Above those that Linux gives to connections, so that no one else's is among them."""


SHORTEST_PATIENCE = 0.3
SLOWER = 4.0
"""Times that an answer may take longer than the slowest so far."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two SYNs, and how long the last of a round is waited for at most."""

    gap: float = 0.01
    patience: float = 1.0


def _patience(pace: Pace, done: list[Probe]) -> float:
    """Once it is known how long answers take, no round waits for many times as long."""
    slowest = max((probe.rtt for probe in done if probe.rtt is not None), default=pace.patience)
    return min(pace.patience, max(SHORTEST_PATIENCE, SLOWER * slowest))


@dataclass(slots=True)
class _Pending:
    """A SYN that was sent."""

    shot: Shot
    flow: Flow
    sequence: int
    packet: bytes
    sent: float
    result: Probe | None = None


class Sweep:
    """All probes toward one port of one target."""

    def __init__(self, wire: Wire, source: Address, target: tuple[Address, int], seed: int, pace: Pace) -> None:
        """Equal seeds make equal orders of arms, ports and sequence numbers."""
        self._wire = wire
        self._source = source
        self._target = target
        self._pace = pace
        self._chance = random.Random(seed)
        self._ports = self._chance.sample(PORTS, len(PORTS))

    def run(self, effort: Effort) -> Iterator[Probe]:
        """Probe round by round, each planned from what the earlier ones brought; ends when all ports are used, too."""
        done: list[Probe] = []
        number = 0
        while chosen := shots(effort, done, number, self._chance)[: len(self._ports)]:
            found = list(self._round(chosen, _patience(self._pace, done)))
            done += found
            number += 1
            yield from found

    def _round(self, chosen: list[Shot], patience: float) -> Iterator[Probe]:
        pending: dict[int, _Pending] = {}
        for shot in chosen:
            sent = self._shoot(shot)
            pending[sent.flow.port] = sent
            self._listen(pending, time.monotonic() + self._pace.gap)
        self._listen(pending, time.monotonic() + patience)
        for sent in pending.values():
            yield sent.result or Probe(sent.shot.arm, sent.shot.ttl, Answer.NONE, None)

    def _shoot(self, shot: Shot) -> _Pending:
        flow = Flow(self._source, self._ports.pop(), *self._target)
        sequence = self._chance.getrandbits(32)
        packet = syn(flow, shot.arm, shot.ttl, sequence)
        pending = _Pending(shot, flow, sequence, packet, time.monotonic())
        self._wire.send(packet, flow.target)
        return pending

    def _listen(self, pending: dict[int, _Pending], until: float) -> None:
        for octets, now in self._wire.receive(until):
            segment = parse_segment(octets)
            if segment is None:
                self._take_error(pending, octets, now)
            elif sent := self._sender(pending, segment):
                self._take_segment(sent, segment, now)
            if all(sent.result for sent in pending.values()) and until - now > self._pace.gap:
                return

    def _sender(self, pending: dict[int, _Pending], segment: Segment) -> _Pending | None:
        """The SYN that this segment answers: addresses, ports and the acknowledged octet must fit."""
        sent = pending.get(segment.destination_port)
        if sent is None or (segment.source, segment.source_port) != self._target:
            return None
        acknowledges = segment.acknowledgement == (sent.sequence + 1) & 0xFFFFFFFF
        return sent if segment.flags & ACK and acknowledges else None

    def _take_segment(self, sent: _Pending, segment: Segment, now: float) -> None:
        is_syn_ack = segment.flags & (SYN | ACK | RST) == SYN | ACK
        if is_syn_ack:
            # Also to one that is sent again: a reset may have been lost.
            self._wire.send(reset(sent.flow, FULL_TTL, segment.acknowledgement), sent.flow.target)
        if is_syn_ack or segment.flags & RST:
            answer = Answer.SYN_ACK if is_syn_ack else Answer.RST
            self._settle(sent, Probe(sent.shot.arm, sent.shot.ttl, answer, now - sent.sent, fingerprint(segment)))

    def _take_error(self, pending: dict[int, _Pending], octets: bytes, now: float) -> None:
        error = parse_error(octets)
        sent = pending.get(error.ports[0]) if error else None
        if error is None or sent is None or error.ports[1] != sent.flow.target_port:
            return
        probe = Probe(sent.shot.arm, sent.shot.ttl, error.answer, now - sent.sent, quote=compare(sent.packet, error))
        self._settle(sent, probe)

    @staticmethod
    def _settle(sent: _Pending, probe: Probe) -> None:
        """The first answer counts, but a SYN-ACK more than an error before it."""
        earlier = sent.result
        if earlier is None or (probe.answer is Answer.SYN_ACK and earlier.answer is not Answer.SYN_ACK):
            sent.result = probe
