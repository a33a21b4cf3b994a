"""What a host's network looks like, for comparing before and after."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from lab.runner import Runner

SETTLE_SECONDS = 10.0

QUESTIONS = """
ip -j address show
ip -j -4 route show table all
ip -j -6 route show table all
ip -j -4 rule show
ip -j -6 rule show
nft -j list ruleset
grep -rs . /proc/sys/net/ipv4 /proc/sys/net/ipv6 /proc/sys/net/mptcp
"""
MARK = "=== "


def network_state(host: Runner) -> dict[str, list[str]]:
    """Links, addresses, routes of all tables, rules, the nftables ruleset and every network sysctl, as one is told."""
    questions = QUESTIONS.strip().splitlines()
    # In one command, since tests ask often. A table that never had a route makes ip fail: that too is an answer.
    script = "\n".join(f'echo "{MARK}{number}"\n{question} || true' for number, question in enumerate(questions))
    answers = host.read("sh", "-c", script).split(MARK)[1:]
    return dict(zip(questions, (answer.splitlines()[1:] for answer in answers), strict=True))


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until something holds that comes to hold by itself, and fail with a reason when it does not."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


def wait_for_links(host: Runner, *names: str) -> None:
    """Wait until these interfaces are up for good: the kernel tells of a new carrier up to a second late."""
    for name in names:
        wait_until(partial(_is_up, host, name), f"{name} does not come up")


def _is_up(host: Runner, name: str) -> bool:
    return '"operstate":"UP"' in host.read("ip", "-j", "link", "show", "dev", name)
