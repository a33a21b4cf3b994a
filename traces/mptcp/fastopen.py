"""Data in a SYN (TCP Fast Open, RFC 7413)."""

from __future__ import annotations

from traces.mptcp.flows import Flows


def opening_octets(flows: Flows, number: int) -> int:
    """Octets of data in the SYN of a flow, as far as the SYN-ACK acknowledges them.

    MPTCP's data sequence numbers count from behind them (RFC 8684 appendix B, as Linux does it).
    """
    flow = flows.flows[number]
    carried = max((int(flows.table.payload[row]) for row in flow.syns), default=0)
    acknowledged = max((int(flows.acknowledged[row]) - 1 for row in flow.syn_acks), default=0)
    return max(min(carried, acknowledged), 0)
