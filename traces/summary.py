"""`mptcptrace` and `python -m traces summary`: what capture files say of MPTCP."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import BadInputError
from lab.progress import Progress
from lab.tasking import number
from traces.mptcp.analysis import analyse
from traces.mptcp.model import Trace
from traces.reading.packets import LARGEST_SNAP_LENGTH
from traces.reading.reading import Reading, read_captures
from traces.reading.segments import Segments

CAPTURE = re.compile(r"\.(pcap|pcapng|cap)(\.gz|\.zst)?$")


def read_trace(paths: Sequence[Path], progress: Progress, *, link_header: int | None = None) -> Trace:
    """Read the files together and analyse them; `BadInputError` when one cannot be read.

    With `link_header`, IP begins so many octets into each packet, whatever the files say of their link layer.
    """
    if not paths:
        raise BadInputError("no capture file is named", hint="give one or more, such as a.pcap,b.pcap")
    for path in paths:
        if not path.is_file():
            raise BadInputError(f"{path} is no file", hint="name capture files: pcap or pcapng, also compressed")
    with progress.stage(f"reading {', '.join(path.name for path in paths)}") as stage:
        reading = read_captures(paths, link_header=link_header)

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
    return [path for name in text.split(",") if name for path in captures(Path(name))]


def parse_offset(text: str) -> int | None:
    """Where IP begins in each packet, in octets; None when that is left to the file."""
    offset = number(text or "0", "--ip-offset")
    if not 0 <= offset <= LARGEST_SNAP_LENGTH:
        raise BadInputError(f"--ip-offset is {text!r}", hint=f"give octets, 0 to {LARGEST_SNAP_LENGTH}")
    return offset if text else None


def captures(path: Path) -> list[Path]:
    """The file, or all captures in the folder, by name."""
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if CAPTURE.search(one.name) and one.is_file())
    if not found:
        raise BadInputError(f"there is no capture in {path}", hint="their names end in .pcap or .pcapng (.gz, .zst)")
    return found
