"""The origin's table, as the emulated mobile ISP with its box gives it."""

from __future__ import annotations

TABLE = {
    "nomptcp_ttl10": (9, 124),
    "mptcp_ttl10": (9, None),
    "mptcp_ttl64": (63, 51),
    "mptcp_100MB": (63, 49),
    "nomptcp_100MB": (63, 124),
}
"""TTLs of SYN and SYN-ACK on the uplink, by capture; None: no answer."""
SYNS = 5
"""So many are sent where none is answered."""
