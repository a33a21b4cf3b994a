"""Try files of single inputs again, as a finding says: python -m tests.fuzzing SUBJECT FILE [FILE …]"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzzing.subject import SUBJECTS, What


def main(subject: str, *names: str) -> None:
    target = SUBJECTS[What(subject)].target()
    for name in names:
        data = Path(name).read_bytes()
        print(target.describe(data), flush=True)
        target.run(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
