"""Which TCP connections are subflows of which MPTCP connection: by token, never by likeness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from traces.mptcp.flows import Flow, Flows
from traces.mptcp.handshake import Handshake
from traces.mptcp.keys import HASHES, initial_dsn, token
from traces.mptcp.model import Direction

Joinable: TypeAlias = "dict[int, list[tuple[Draft, Direction]]]"


@dataclass(slots=True)
class Draft:
    """An MPTCP connection while it is put together. Pairs: the client's, then the server's."""

    version: int | None
    keys: list[bytes | None]
    tokens: list[int | None] = field(default_factory=lambda: [None, None])
    members: list[int] = field(default_factory=list)
    """Its flows; the initial one first, when the capture has it."""
    openers: list[Direction] = field(default_factory=list)
    """Who opened each of the members."""
    initial: int | None = None
    """The flow that began it."""
    machine: str = ""
    """Where it was seen; empty where interfaces name no machine."""
    was_joined: bool = False
    """Whether a subflow named the hash of one of its keys."""

    def initial_dsn(self, direction: Direction) -> int | None:
        key = self.keys[direction]
        return initial_dsn(key, self.version) if key and self.version in HASHES else None

    def add(self, flow: int, opener: Direction) -> None:
        self.members.append(flow)
        self.openers.append(opener)


@dataclass(slots=True)
class Membership:
    """All MPTCP connections, and the flows that are in none."""

    signalled: frozenset[int]
    """Flows that carried a DSS."""
    machines: Sequence[str]
    """Where each flow was seen."""
    drafts: list[Draft] = field(default_factory=list)
    plain: list[int] = field(default_factory=list)
    fallbacks: dict[int, str] = field(default_factory=dict)
    """Why a flow that asked for MPTCP is plain TCP."""
    warnings: list[str] = field(default_factory=list)


def find_members(
    flows: Flows, handshakes: Sequence[Handshake], signalled: frozenset[int], machines: Sequence[str]
) -> Membership:
    """Put flows together; `signalled` are those that carried a DSS, `machines` say where each was seen."""
    found = Membership(signalled, machines)
    joins = []
    for number, (flow, handshake) in enumerate(zip(flows.flows, handshakes, strict=True)):
        if handshake.conflict:
            found.warnings.append(f"{flow}: its segments name different keys")
        if handshake.joins:
            joins.append(number)
        elif handshake.version is not None:
            found.drafts.append(_begun(number, handshake))
        elif number in signalled and _may_be_mptcp(flow, handshake):
            found.warnings.append(f"{flow}: MPTCP without its handshake; keys and tokens are not known")
            found.drafts.append(_begun(number, handshake))
        else:
            if number in signalled:
                found.warnings.append(f"{flow}: has DSS options, though its handshake did not agree to MPTCP")
            _plain(found, flow, number, handshake)
    for draft in found.drafts:
        draft.machine = machines[draft.members[0]]
    by_token = _by_token(found.drafts)
    for number in joins:
        _join(found, flows.flows[number], number, handshakes[number], by_token)
    found.plain.sort()
    found.drafts.sort(key=lambda draft: min(draft.members))
    _warn_of_twins(found, flows)
    return found


def _may_be_mptcp(flow: Flow, handshake: Handshake) -> bool:
    """Whether the segments that would tell are not in the capture."""
    refused = flow.syn_acks and handshake.answered is None
    return not refused and not (flow.syns and handshake.asked is None)


def _begun(number: int, handshake: Handshake) -> Draft:
    version = handshake.version if handshake.version is not None else handshake.asked
    draft = Draft(version if version in HASHES else None, list(handshake.keys), initial=number)
    if draft.version is not None:
        draft.tokens = [token(key, draft.version) if key else None for key in draft.keys]
    draft.add(number, Direction.C2S)
    return draft


def _plain(found: Membership, flow: Flow, number: int, handshake: Handshake) -> None:
    found.plain.append(number)
    if handshake.asked is None or not flow.syn_acks:
        return
    if handshake.answered is None:
        found.fallbacks[number] = "no MP_CAPABLE in the SYN-ACK"
    elif handshake.answered != handshake.asked:
        found.fallbacks[number] = f"version {handshake.asked} asked for, version {handshake.answered} answered"
    else:
        found.fallbacks[number] = f"version {handshake.asked} is not known"


def _by_token(drafts: Sequence[Draft]) -> Joinable:
    """Whom a token joins, and who opens a subflow with it: the peer of whose key it is the hash."""
    found: Joinable = {}
    for draft in drafts:
        for opener, named in ((Direction.C2S, draft.tokens[1]), (Direction.S2C, draft.tokens[0])):
            if named is not None:
                found.setdefault(named, []).append((draft, opener))
    return found


def _join(found: Membership, flow: Flow, number: int, handshake: Handshake, by_token: Joinable) -> None:
    named = "" if handshake.token is None else f" of token {handshake.token:08x}"
    if not (number in found.signalled or handshake.nonces[1] is not None or handshake.hmacs[0]):
        found.plain.append(number)
        why = "the SYN-ACK has no MP_JOIN" if flow.syn_acks else "it is not answered"
        found.fallbacks[number] = f"MP_JOIN{named}: {why}"
        found.warnings.append(f"{flow}: an MP_JOIN{named} came to nothing: {why}")
        return
    known = by_token.get(handshake.token, ()) if handshake.token is not None else ()
    begun = [(draft, opener) for draft, opener in known if draft.members[0] < number]
    if begun:
        # Before and after a NAT a connection has other addresses and the same token: of those, the one seen here.
        here = [one for one in begun if one[0].machine == found.machines[number]]
        draft, opener = (here or begun)[-1]
        draft.was_joined = True
        draft.add(number, opener)
        return
    found.warnings.append(f"{flow}: joins a connection{named} whose own handshake is missing")
    draft = Draft(None, [None, None], [None, handshake.token], machine=found.machines[number])
    draft.add(number, Direction.C2S)
    found.drafts.append(draft)
    if handshake.token is not None:
        by_token.setdefault(handshake.token, []).append((draft, Direction.C2S))


def _warn_of_twins(found: Membership, flows: Flows) -> None:
    """A capture on both sides of an address translator shows every connection twice."""
    seen: dict[tuple[bytes | None, ...], Draft] = {}
    for draft in found.drafts:
        keys = tuple(draft.keys)
        if None not in keys and keys in seen:
            one, other = (flows.flows[some.members[0]] for some in (seen[keys], draft))
            found.warnings.append(f"{one} and {other} have the same keys: one connection, before and after a NAT?")
        seen.setdefault(keys, draft)
