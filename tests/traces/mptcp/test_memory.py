"""The analysis takes little memory for each packet: captures larger than it can be analysed where there is enough."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.bench.capture import write_capture
from tests.traces.mptcp.traces import trace_of
from traces.mptcp.growing import Growing

PACKETS = 1_000_000
OCTETS_EACH = 200
"""There were 151, each segment having an acknowledgement and two of three a mapping."""


class TestGrowing:
    @given(st.lists(st.lists(st.integers(0, 255), max_size=30)))
    def test_a_column_has_all_that_was_appended(self, pieces: list[list[int]]) -> None:
        column = Growing(np.uint8)
        for piece in pieces:
            column.append(np.array(piece, np.uint8))
        assert column.whole().tolist() == [value for piece in pieces for value in piece]

    def test_zeros_take_no_memory_until_something_else_comes(self) -> None:
        column = Growing(np.int64)
        column.append(np.zeros(1000, np.int64))
        assert column.whole().tolist() == [0] * 1000
        assert column.whole().strides == (0,)

    def test_the_kind_is_the_columns_own(self) -> None:
        column = Growing(np.uint16)
        column.append(np.array([7, 1]))
        assert column.whole().dtype == np.uint16


@pytest.mark.slow
def test_the_whole_analysis_takes_few_octets_for_each_packet(tmp_path: Path) -> None:
    write_capture(tmp_path / "large.pcap", PACKETS)
    tracemalloc.start(1)
    try:
        trace = trace_of(tmp_path / "large.pcap")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(len(connection.mappings.time) for connection in trace.connections) > PACKETS / 2
    assert most / PACKETS < OCTETS_EACH
