"""The process that atheris owns: python -m tests.fuzzing.process SUBJECT [libFuzzer's options] [folder of inputs]

It ends by itself, with an exit code, at the first finding or at the limit that the options set.
"""

from __future__ import annotations

import importlib
import sys

from tests.fuzzing.subject import SUBJECTS, What


def main() -> None:
    subject = SUBJECTS[What(sys.argv.pop(1))]
    # By name: atheris has wheels for few platforms, and everything else here works without it.
    atheris = importlib.import_module("atheris")
    # Coverage is told by bytecode that is inserted at import, so none of these modules may be loaded before.
    with atheris.instrument_imports(include=[subject.package]):
        target = subject.target()
    atheris.Setup(sys.argv, target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
