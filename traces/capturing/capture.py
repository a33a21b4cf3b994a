"""Taking a capture on an interface, from before the first packet to after the last."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.context import Lab
from lab.errors import MpsocksError
from lab.steps.capture import Capture

START_SECONDS = 30.0
SNAP_LENGTH = 128
DRAIN_SECONDS = 0.3


@contextmanager
def capturing(lab: Lab, interfaces: tuple[str, ...], folder: Path, expression: str, scope: str) -> Iterator[list[Path]]:
    """Capture on each interface for as long as the block runs; yields the files, named after the interfaces.

    `expression` is a pcap filter. The captures are journalled steps of `scope`: they are ended whatever happens.
    Files of earlier captures are removed first, so that whatever is read is of this one.
    """
    steps = [Capture(name, str(folder / f"{name}.pcap"), expression, SNAP_LENGTH) for name in interfaces]
    lab.journal.undo(scope)  # what a task that was killed left behind
    lab.host.change("mkdir", "-p", "-m", "0700", folder)
    lab.host.change("rm", "-f", *(file for step in steps for file in (step.path, step.log)))
    with running(lab, steps, scope):
        yield [Path(step.path) for step in steps]


@contextmanager
def running(lab: Lab, steps: Sequence[Capture], scope: str) -> Iterator[None]:
    """Let these captures run for as long as the block does: all listen before it begins, and nothing of it is lost.

    They are journalled steps of `scope`; whatever else stands in that scope is ended with them.
    """
    try:
        for step in steps:
            lab.journal.apply(step, scope)
        if not lab.host.dry:
            for step in steps:
                _require_listening(lab, step)
        yield
        if not lab.host.dry:
            time.sleep(DRAIN_SECONDS)  # the last packets are still on their way up from the kernel
    finally:
        if lab.host.dry:
            for step in steps:
                step.undo(lab.host)  # the journal knows nothing of steps that were only told
        lab.journal.undo(scope)


def _require_listening(lab: Lab, step: Capture) -> None:
    if not step.is_listening(lab.host, START_SECONDS):
        where = f" of {step.where}" if step.where else ""
        raise MpsocksError(
            f"tcpdump does not capture on {step.interface}{where}", why=step.said(lab.host), hint="`invoke doctor`"
        )
