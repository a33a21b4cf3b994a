"""Journalled steps: every kind of change to the host, each with its way back."""

from __future__ import annotations

from typing import Any

from lab.errors import MpsocksError
from lab.steps.base import Step
from lab.steps.capture import Capture
from lab.steps.domain import Domain
from lab.steps.files import NewFile
from lab.steps.mptcp import MptcpLimits
from lab.steps.netns import NetworkNamespace
from lab.steps.network import NftTable, Route, RoutingRule, Sysctl, Tap
from lab.steps.ssh_forward import SshForward

__all__ = [
    "Capture",
    "Domain",
    "MptcpLimits",
    "NetworkNamespace",
    "NewFile",
    "NftTable",
    "Route",
    "RoutingRule",
    "SshForward",
    "Step",
    "Sysctl",
    "Tap",
    "step_from_record",
]

KINDS: dict[str, type[Step]] = {
    step.kind: step
    for step in (
        *(Capture, Domain, MptcpLimits, NetworkNamespace, NewFile),
        *(NftTable, Route, RoutingRule, SshForward, Sysctl, Tap),
    )
}


def step_from_record(record: dict[str, Any]) -> Step:
    """The step that `Step.as_record` wrote down."""
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
    kind = str(fields.pop("kind"))
    try:
        return KINDS[kind](**fields)
    except (KeyError, TypeError) as error:
        raise MpsocksError(
            f"the journal holds a step of kind {kind!r} that this version does not understand",
            why="another version of mpsocks wrote it",
            hint="run `invoke clean` with the version that made the lab",
        ) from error
