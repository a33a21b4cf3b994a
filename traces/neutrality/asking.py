"""What `check-neutrality` was asked for, checked before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.context import Lab
from lab.errors import BadInputError
from lab.tasking import number
from lab.testbed.web.octets import parse_count
from traces.neutrality.check import Plan, find_uplinks
from traces.neutrality.measuring import Extent
from traces.neutrality.targets import parse_targets

FEWEST_REPEATS, FEWEST_PAIRS = 5, 10
MOST = 100


def ask(lab: Lab, itf: str, target: Sequence[str], *, size: str, pairs: str, repeats: str) -> Plan:
    """The plan for these options, as a person typed them; `BadInputError` for one that makes no sense."""
    octets = _octets(size)
    usual = Extent()
    extent = replace(
        usual,
        effort=replace(usual.effort, repeats=_between(repeats, "--repeats", FEWEST_REPEATS)),
        pairs=_between(pairs, "--pairs", FEWEST_PAIRS),
        octets=min(usual.octets, octets),
    )
    targets = parse_targets(target, lab.settings.neutrality)
    return Plan(find_uplinks(lab, itf), targets, extent, octets)


def _octets(size: str) -> int:
    try:
        octets = parse_count(size)
    except ValueError as error:
        raise BadInputError(f"--bytes is {size!r}", why=str(error), hint="give a size, such as 2M or 100M") from None
    if not octets:
        raise BadInputError("--bytes is 0", hint="give a size, such as 2M or 100M")
    return octets


def _between(text: str, what: str, fewest: int) -> int:
    value = number(text, what)
    if not fewest <= value <= MOST:
        raise BadInputError(
            f"{what} is {value}", why="fewer would tell chance from fact too seldom", hint=f"give {fewest} to {MOST}"
        )
    return value
