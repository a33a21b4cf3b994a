"""`mptcptrace` and `python -m traces summary`: what capture files say of MPTCP."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import BadInputError
from lab.progress import Progress
from traces.mptcp.analysis import analyse
from traces.mptcp.model import Trace
from traces.reading.reading import Reading, read_captures
from traces.reading.segments import Segments

CAPTURE = re.compile(r"\.(pcap|pcapng|cap)(\.gz|\.zst)?$")


def read_trace(paths: Sequence[Path], progress: Progress) -> Trace:
    """Read the files together and analyse them; `BadInputError` when one cannot be read."""
    if not paths:
        raise BadInputError("no capture file is named", hint="give one or more, such as a.pcap,b.pcap")
    for path in paths:
        if not path.is_file():
            raise BadInputError(f"{path} is no file")
    with progress.stage(f"reading {', '.join(path.name for path in paths)}") as stage:
        reading = read_captures(paths)

        def told() -> Iterator[Segments]:
            for piece in reading:
                yield piece
                stage.tell(f"{reading.packets} packets")

        return analyse(told(), reading.interfaces, _warnings(reading))


def _warnings(reading: Reading) -> Iterator[str]:
    """They are whole when the reading has ended, which is when the analysis asks for them."""
    yield from reading.warnings


def parse_files(text: str) -> list[Path]:
    """Paths separated by commas, and the captures in folders; nothing named is refused where it is read."""
    return [path for name in text.split(",") if name for path in _captures(Path(name))]


def _captures(path: Path) -> list[Path]:
    """The file, or all captures in the folder, by name."""
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if CAPTURE.search(one.name) and one.is_file())
    if not found:
        raise BadInputError(f"there is no capture in {path}", hint="their names end in .pcap or .pcapng (.gz, .zst)")
    return found
