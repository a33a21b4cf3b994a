"""A `Trace` as JSON and as text; the text reads like the listing of mptcptrace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from traces.mptcp.model import Connection, Direction, Proof, Subflow, TcpConnection, Trace, Volume

WAYS = ("c2s", "s2c")


def as_json(trace: Trace) -> dict[str, Any]:
    """Numbers in octets and seconds, times since 1970, tokens and keys in hex; null for what is not known."""
    return {
        "connections": [_connection(connection) for connection in trace.connections],
        "tcp_connections": [_tcp_connection(connection) for connection in trace.tcp_connections],
        "warnings": list(trace.warnings),
    }


def _both(name: str, volume: Volume) -> dict[str, int]:
    return {f"{name}_c2s": volume.c2s, f"{name}_s2c": volume.s2c}


def _connection(connection: Connection) -> dict[str, Any]:
    return {
        "id": connection.id,
        "version": connection.version,
        "client_token": connection.client_token or None,
        "server_token": connection.server_token or None,
        "tokens": connection.tokens,
        "client_key": connection.client_key or None,
        "server_key": connection.server_key or None,
        "initial_dsn_c2s": connection.initial_dsn[0],
        "initial_dsn_s2c": connection.initial_dsn[1],
        **_both("bytes", connection.bytes),
        **_both("reinjected", connection.reinjected),
        "started": connection.started,
        "duration": connection.duration,
        "goodput_c2s": connection.goodput(Direction.C2S),
        "goodput_s2c": connection.goodput(Direction.S2C),
        "checksums": connection.checksums,
        "checksums_right": connection.checksums_right,
        "checksums_wrong": connection.checksums_wrong,
        "fallback": connection.fallback or None,
        "subflows": [_subflow(subflow) for subflow in connection.subflows],
        "events": [
            {
                "time": event.time,
                "kind": event.kind,
                "subflow": event.subflow,
                "direction": WAYS[event.direction],
                "detail": event.detail,
            }
            for event in connection.events
        ],
    }


def _subflow(subflow: Subflow) -> dict[str, Any]:
    return {
        "id": subflow.id,
        "src": subflow.src,
        "sport": subflow.sport,
        "dst": subflow.dst,
        "dport": subflow.dport,
        "opener": ("client", "server")[subflow.opener],
        "initial": subflow.is_initial,
        "interfaces": list(subflow.interfaces),
        "backup": subflow.backup,
        "local_id": subflow.local_id,
        "remote_id": subflow.remote_id,
        "started": subflow.started,
        "handshake_seconds": subflow.handshake_seconds,
        "hmac": subflow.hmac,
        **_both("bytes", subflow.unique),
        **_both("mapped", subflow.mapped),
        **_both("retransmitted", subflow.retransmitted),
        **_both("reinjected", subflow.reinjected),
        **_both("reinjected_same", subflow.reinjected_same),
        "syn_ttls": list(subflow.syn_ttls),
        "syn_ack_ttls": list(subflow.syn_ack_ttls),
        "rtt_median_c2s": subflow.rtt_median[0],
        "rtt_median_s2c": subflow.rtt_median[1],
    }


def _tcp_connection(connection: TcpConnection) -> dict[str, Any]:
    found = asdict(connection)
    del found["bytes"]
    told = {"fallback": connection.fallback or None, "joins": connection.joins or None}
    return {**found, **_both("bytes", connection.bytes), **told}


def as_lines(trace: Trace) -> Iterator[str]:
    """One line for each connection and subflow as mptcptrace has them, and below what else there is to know."""
    for connection in trace.connections:
        yield from _connection_lines(connection)
    if trace.tcp_connections:
        yield f"{len(trace.tcp_connections)} TCP connections without MPTCP"
    for tcp in trace.tcp_connections:
        yield from _tcp_lines(tcp)
    if not trace.connections and not trace.tcp_connections:
        yield "no TCP connection"
    for warning in trace.warnings:
        yield f"warning: {warning}"


def _connection_lines(connection: Connection) -> Iterator[str]:
    version = "of unknown version" if connection.version is None else f"version {connection.version}"
    tokens = f"tokens {connection.client_token or '?'} {connection.server_token or '?'}"
    yield f"MPTCP connection {connection.id} with id {connection.id}"
    yield f"\t{version}, {tokens} ({_proof(connection.tokens)}), {connection.duration:.6f} s"
    yield "\t" + _ways("{} octets ({:.0f} octets/s)", *(
        (octets, connection.goodput(direction))
        for octets, direction in zip((connection.bytes.c2s, connection.bytes.s2c), Direction, strict=True)
    ))  # fmt: skip
    if connection.checksums:
        yield f"\tchecksums: {connection.checksums_right} right, {connection.checksums_wrong} wrong"
    if connection.fallback:
        yield f"\tfell back to TCP: {connection.fallback}"
    for subflow in connection.subflows:
        yield from _subflow_lines(subflow)
    for event in connection.events:
        sender = ("client", "server")[event.direction]
        detail = f": {event.detail}" if event.detail else ""
        yield f"\t{event.time - connection.started:10.6f} subflow {event.subflow} {sender} {event.kind}{detail}"


def _subflow_lines(subflow: Subflow) -> Iterator[str]:
    family = "IPv6" if ":" in subflow.src else "IPv4"
    scales = " ".join("?" if scale is None else str(scale) for scale in subflow.scales)
    yield (
        f"\tSubflow {subflow.id} with wscale : {scales} {family} sport {subflow.sport} dport {subflow.dport}"
        f" saddr {subflow.src} daddr {subflow.dst}"
    )
    facts = ["initial" if subflow.is_initial else f"opened by the {('client', 'server')[subflow.opener]}"]
    facts += ["backup"] if subflow.backup else []
    ids = ("?" if number is None else str(number) for number in (subflow.local_id, subflow.remote_id))
    facts.append(f"ids {' '.join(ids)}")
    facts += [] if subflow.is_initial else [f"HMAC {subflow.hmac}"]
    if subflow.handshake_seconds is not None:
        facts.append(f"handshake {subflow.handshake_seconds * 1000:.3f} ms")
    facts.append(_ttls(subflow.syn_ttls, subflow.syn_ack_ttls))
    facts += [f"on {', '.join(subflow.interfaces)}"] if subflow.interfaces else []
    yield "\t\t" + ", ".join(facts)
    volumes = (subflow.unique, subflow.retransmitted, subflow.reinjected, subflow.reinjected_same)
    yield "\t\t" + _ways(
        "{} octets, {} retransmitted, {} reinjected, {} reinjected on the same subflow{}",
        (*(volume.c2s for volume in volumes), _rtt(subflow.rtt_median[0])),
        (*(volume.s2c for volume in volumes), _rtt(subflow.rtt_median[1])),
    )


def _ways(form: str, *values: tuple[object, ...]) -> str:
    return "; ".join(f"{way}: {form.format(*some)}" for way, some in zip(WAYS, values, strict=True))


def _rtt(seconds: float | None) -> str:
    return "" if seconds is None else f", RTT {seconds * 1000:.3f} ms"


def _proof(proof: Proof) -> str:
    return {
        Proof.RIGHT: "hashes right",
        Proof.WRONG: "hashes wrong",
        Proof.UNKNOWN: "nothing in the capture to prove them",
    }[proof]


def _tcp_lines(connection: TcpConnection) -> Iterator[str]:
    family = "IPv6" if ":" in connection.src else "IPv4"
    yield (
        f"\tTCP connection {connection.id} {family} sport {connection.sport} dport {connection.dport}"
        f" saddr {connection.src} daddr {connection.dst}"
    )
    ttls = _ttls(connection.syn_ttls, connection.syn_ack_ttls)
    asked = "" if connection.asked is None else f", asked for MPTCP version {connection.asked}"
    why = f", fell back: {connection.fallback}" if connection.fallback else ""
    yield f"\t\t{ttls}{asked}{why}; " + _ways("{} octets", (connection.bytes.c2s,), (connection.bytes.s2c,))


def _ttls(syns: tuple[int, ...], syn_acks: tuple[int, ...]) -> str:
    """Such as `SYN TTL 9 (5 times), unanswered`."""
    asked = f"SYN TTL {_values(syns)}" if syns else "no SYN"
    return f"{asked}, SYN-ACK TTL {_values(syn_acks)}" if syn_acks else f"{asked}, unanswered" if syns else asked


def _values(ttls: tuple[int, ...]) -> str:
    values = ", ".join(str(ttl) for ttl in dict.fromkeys(ttls))
    return values if len(ttls) == 1 else f"{values} ({len(ttls)} times)"
