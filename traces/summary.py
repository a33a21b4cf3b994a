"""`mptcptrace` and `python -m traces summary`: what capture files say of MPTCP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import BadInputError
from lab.progress import Progress
from traces.mptcp.analysis import analyse
from traces.mptcp.model import Trace
from traces.reading.reading import Reading, read_captures
from traces.reading.segments import Segments


def read_trace(paths: Sequence[Path], progress: Progress) -> Trace:
    """Read the files together and analyse them; `BadInputError` when one cannot be read."""
    if not paths:
        raise BadInputError("no capture file is named", hint="give one or more, such as a.pcap,b.pcap")
    for path in paths:
        if not path.is_file():
            raise BadInputError(f"{path} is no file", hint="name capture files: pcap or pcapng, also compressed")
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
    """Paths separated by commas; an empty text is refused later, where files are missed."""
    return [Path(name) for name in text.split(",") if name]
