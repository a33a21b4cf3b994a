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
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    steps = [Capture(name, str(folder / f"{name}.pcap"), expression, SNAP_LENGTH) for name in interfaces]
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
        lab.journal.undo(scope)


def _wait_until_listening(lab: Lab, step: Capture) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "listening on" not in lab.host.read("cat", step.log):
        if time.monotonic() > deadline or not step.stands(lab.host):
            why = lab.host.read("cat", step.log)
            raise MpsocksError(f"tcpdump does not capture on {step.interface}", why=why, hint="`invoke doctor`")
        time.sleep(0.05)
