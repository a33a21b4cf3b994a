"""When TCP acknowledged the segments that carry data: until then they are on their way, or lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from traces.mptcp.coverage import REACH
from traces.mptcp.flows import Flows
from traces.mptcp.model import NEVER
from traces.mptcp.table import SYN
from traces.reading.segments import Int64, Integers


def acknowledged_at(flows: Flows, members: Sequence[Integers], rows: Integers) -> Int64:
    """When the whole of each of the segments `rows` was acknowledged on its subflow.

    In nanoseconds since 1970; `NEVER` where the capture has no such acknowledgement. `members` has the rows of all
    segments of each of the flows that they belong to, in the order of time.
    """
    table = flows.table
    side = table.sides(rows)
    order = np.argsort(side, kind="stable")
    ordered = side[order]
    found = np.full(len(rows), NEVER, np.int64)
    for some in members:
        for way in (0, 1):
            wanted = int(table.flow[some[0]]) * 2 + way
            mine = order[np.searchsorted(ordered, wanted) : np.searchsorted(ordered, wanted, side="right")]
            number = flows.acknowledged[some]
            acks = some[(table.direction[some] != way) & (number >= 0) & (number < REACH)]
            highest = np.maximum.accumulate(flows.acknowledged[acks])
            segments = rows[mine]
            ends = flows.position[segments] + (table.flags[segments] & SYN > 0) + table.payload[segments]
            at = np.searchsorted(highest, ends)
            known = at < len(highest)
            found[mine[known]] = table.time[acks[at[known]]]
    return found
