"""Taking a capture on an interface, from before the first packet to after the last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.context import Lab
from lab.errors import MpsocksError
from lab.steps.capture import Capture

START_SECONDS = 10.0
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
    try:
        for step in steps:
            lab.journal.apply(step, scope)
        if not lab.host.dry:
            for step in steps:
                _wait_until_listening(lab, step)
        yield [Path(step.path) for step in steps]
        if not lab.host.dry:
            time.sleep(DRAIN_SECONDS)  # the last packets are still on their way up from the kernel
    finally:
        if lab.host.dry:
            for step in steps:
                step.undo(lab.host)  # the journal knows nothing of steps that were only told
        lab.journal.undo(scope)


def _wait_until_listening(lab: Lab, step: Capture) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "listening on" not in _log(lab, step):
        if time.monotonic() > deadline or not step.stands(lab.host):
            raise MpsocksError(
                f"tcpdump does not capture on {step.interface}", why=_log(lab, step), hint="`invoke doctor`"
            )
        time.sleep(0.05)


def _log(lab: Lab, step: Capture) -> str:
    """What tcpdump has said so far; nothing while it has not made its file."""
    return lab.host.probe("cat", step.log).stdout
