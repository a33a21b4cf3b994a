"""The reference captures, and what is true of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
CAPTURES = REPOSITORY / "tests" / "captures"
MORE_CAPTURES = Path(os.environ.get("MPSOCKS_CAPTURES", REPOSITORY.parent / "shared" / "captures"))


def capture(name: str) -> Path:
    """A capture of the reference set, as in `v1/v1_single.wlan.pcap`."""
    return CAPTURES / name


def further_capture(name: str) -> Path:
    """A capture that does not come with the sources; the test is skipped where there is none."""
    path = MORE_CAPTURES / name
    if not path.exists():
        pytest.skip(f"no {path}: name the folder of the captures in MPSOCKS_CAPTURES")
    return path


@pytest.fixture(scope="session")
def truth() -> dict[str, Any]:
    """What the peers and the kernel said, by the capture's name."""
    told: dict[str, Any] = json.loads((CAPTURES / "truth.json").read_text())
    return told
