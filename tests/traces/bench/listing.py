"""List the subflows of a capture as tshark does with a filter: the SYNs with MPTCP, and nothing beyond them.

python -m tests.traces.bench.listing FILE
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.traces.reading.rows import ACK, SYN, rows
from traces.reading.reading import read_captures


def mptcp_syns(path: Path) -> Iterator[str]:
    """A line for each SYN that has an MPTCP option."""
    for piece in read_captures([path]):
        chosen = piece.mptcp.row[piece.flags[piece.mptcp.row] & (SYN | ACK) == SYN]
        for one in rows(piece, np.unique(chosen)):
            (client, port), (server, to) = one.source, one.destination
            yield f"{client}\t{port}\t{server}\t{to}"


if __name__ == "__main__":
    print("\n".join(mptcp_syns(Path(sys.argv[1]))))
