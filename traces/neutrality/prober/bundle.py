"""The prober as one file that any Python from 3.11 on runs, also where there is nothing else of ours."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

ROOT = Path(__file__).resolve().parent.parent.parent.parent
SOURCES = (
    "lab/__init__.py",
    "lab/testbed/__init__.py",
    "lab/testbed/web/__init__.py",
    "lab/testbed/web/connection.py",
    "traces/__init__.py",
    "traces/neutrality/__init__.py",
    "traces/neutrality/model.py",
    *(f"traces/neutrality/prober/{name}.py" for name in
      ("__init__", "__main__", "download", "packets", "plan", "quotes", "sweep", "wire")),
)  # fmt: skip
MAIN = b"import runpy\n\nrunpy.run_module('traces.neutrality.prober', run_name='__main__')\n"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold: equal sources make equal octets."""


def build_prober(target: Path) -> Path:
    """Write the zipapp to `target` and return it."""
    with ZipFile(target, "w", ZIP_STORED) as archive:
        archive.writestr(ZipInfo("__main__.py", EPOCH), MAIN)
        for name in SOURCES:
            archive.writestr(ZipInfo(name, EPOCH), (ROOT / name).read_bytes())
    return target
