"""Whatever was measured, however odd, is judged and told: each target has a verdict, and each verdict its reasons."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.neutrality.charts import charts
from traces.neutrality.judge import judge
from traces.neutrality.model import Answer, Arm, Measurement, Probe, Quote, Reply, Target, Transfer
from traces.neutrality.report import as_json, lines
from traces.neutrality.verdict import Kind

REPLIES = st.builds(
    Reply,
    ttl=st.integers(0, 255),
    window=st.integers(0, 65535),
    mss=st.none() | st.integers(0, 65535),
    scale=st.none() | st.integers(0, 255),
    options=st.lists(st.integers(0, 255), max_size=6).map(tuple),
    timestamps=st.booleans(),
    mptcp=st.booleans(),
)
GARBAGE = tuple(f"option {kind}" for kind in (2, 3, 4, 8, 30))
QUOTES = st.builds(
    Quote,
    router=st.just("198.18.0.1"),
    changed=st.sampled_from(
        [(), ("option 30",), ("window", "option 253"), tuple(f"option {kind}" for kind in (2, 3, 4, 8, 30))]
    ),
    has_options=st.booleans(),
)
PROBES = st.builds(
    Probe,
    arm=st.sampled_from(Arm),
    ttl=st.integers(1, 64),
    answer=st.sampled_from(Answer),
    rtt=st.none() | st.floats(0, 10),
    reply=st.none() | REPLIES,
    quote=st.none() | QUOTES,
)
TRANSFERS = st.builds(
    Transfer,
    multipath=st.booleans(),
    agreed=st.booleans(),
    octets=st.integers(0, 10**9),
    seconds=st.just(0.0) | st.floats(1e-6, 1e6),
    complete=st.booleans(),
    failure=st.sampled_from(["", "timed out"]),
    redirect=st.text(max_size=9) | st.sampled_from(["http://a.test/", "http://[", "//a.test:x/"]),
)
TARGETS = st.builds(
    Target,
    name=st.text(max_size=5),
    speaks_mptcp=st.none() | st.booleans(),
    is_near=st.booleans(),
    probes=st.lists(PROBES, max_size=40).map(tuple),
    pairs=st.lists(st.tuples(TRANSFERS, TRANSFERS), max_size=14).map(tuple),
    table=st.just(()),
)


@pytest.mark.slow
@given(st.lists(TARGETS, max_size=3).map(tuple), st.integers(0, 2))
def test_anything_is_judged_and_told(targets: tuple[Target, ...], ttl_offset: int) -> None:
    judged = judge(Measurement("wlan1", ttl_offset, targets))
    json.dumps(as_json(judged), allow_nan=False)
    assert len(lines(judged)) >= 2 * len(targets)
    for target in judged.targets:
        json.dumps(charts(target), allow_nan=False)
        assert target.verdicts
        for verdict in target.verdicts:
            assert verdict.p_value is None or 0 <= verdict.p_value <= 1
            assert bool(verdict.reason) == (verdict.kind is Kind.INCONCLUSIVE)
            assert verdict.kind is Kind.INCONCLUSIVE or verdict.evidence.startswith("consistent with ")
        assert Kind.TRANSPARENT not in {verdict.kind for verdict in target.verdicts} or len(target.verdicts) == 1
