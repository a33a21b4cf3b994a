"""The proxy as one file: `codec` and `proxy` in a zipapp that any Python from 3.11 on runs.

python -m proxy.bundle mpsocks.pyz && python3 mpsocks.pyz serve ...
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

PACKAGES = ("codec", "proxy")
LEFT_OUT = ("dissector", "__pycache__")
"""Folders that stay on the lab host."""
SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = b"import sys\n\nfrom proxy.cli import main\n\nsys.exit(main())\n"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""


def build_zipapp(target: Path) -> Path:
    """Write the zipapp to `target` and return it. Equal sources make equal octets: sorted, stored, without times."""
    root = Path(__file__).resolve().parent.parent
    with target.open("wb") as file:
        file.write(SHEBANG)
        with ZipFile(file, "w", ZIP_STORED) as archive:
            archive.writestr(ZipInfo("__main__.py", EPOCH), MAIN)
            for path in _sources(root):
                archive.writestr(ZipInfo(path.relative_to(root).as_posix(), EPOCH), path.read_bytes())
    target.chmod(0o755)
    return target


def _sources(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if not set(LEFT_OUT).intersection(path.relative_to(root).parts):
                yield path


if __name__ == "__main__":
    print(build_zipapp(Path(sys.argv[1])))
