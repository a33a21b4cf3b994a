"""Try files of single inputs again, as a finding says: python -m tests.codec.fuzz FILE [FILE …]"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.codec.fuzz import target


def main(names: list[str]) -> None:
    for name in names:
        data = Path(name).read_bytes()
        print(target.describe(data), flush=True)
        target.run(data)


if __name__ == "__main__":
    main(sys.argv[1:])
