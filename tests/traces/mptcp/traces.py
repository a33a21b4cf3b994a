"""Traces of captures and of packets that were made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.traces.mptcp.conversation import Conversation, Packet, write
from traces.mptcp.analysis import analyse
from traces.mptcp.model import Connection, Trace
from traces.reading.reading import read_captures


def trace_of(*paths: Path) -> Trace:
    reading = read_captures(paths)
    return analyse(reading, reading.interfaces, reading.warnings)


def trace_of_packets(*captures: Sequence[Packet], snap_length: int = 65535) -> Trace:
    """Of one capture file for each list of packets, all read together."""
    return trace_of_named_packets({str(number): some for number, some in enumerate(captures)}, snap_length=snap_length)


def trace_of_named_packets(captures: Mapping[str, Sequence[Packet]], snap_length: int = 65535) -> Trace:
    """The same, by the names of the interfaces."""
    with TemporaryDirectory() as folder:
        paths = [
            write(Path(folder, f"{name}.pcap"), list(packets), snap_length=snap_length)
            for name, packets in captures.items()
        ]
        return trace_of(*paths)


def only(conversation: Conversation) -> Connection:
    """The one connection that the conversation makes."""
    trace = trace_of_packets(conversation.packets)
    assert trace.warnings == ()
    assert trace.tcp_connections == ()
    (connection,) = trace.connections
    return connection
