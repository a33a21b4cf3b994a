"""Reading capture files: pcap and pcapng, also compressed, to columns of TCP segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import BadInputError
from traces.reading import pcap
from traces.reading.packets import Packets
from traces.reading.segments import Segments
from traces.reading.stream import Stream, Window
from traces.reading.tally import Tally
from traces.reading.tcp import segments

PIECE_PACKETS = 1 << 17
MAGIC = 4
COMPRESSED = (".gz", ".zst")


class Reading:
    """The segments of some files, in pieces: iterate once, each file from begin to end, one after the other.

    What it tells beside the pieces grows while one iterates, and is whole at the end.
    """

    def __init__(self, paths: Sequence[Path], piece_packets: int) -> None:
        self.paths = tuple(paths)
        self.interfaces: list[str] = []
        """Names by index; of one that the file gives no name, the file's own."""
        self.warnings: list[str] = []
        """What could not be read, with file and packet number."""
        self.packets = 0
        """Of any protocol."""
        self.segments = 0
        self._most = piece_packets

    def __iter__(self) -> Iterator[Segments]:
        for file, path in enumerate(self.paths):
            tally = Tally(path)
            for packets in self._packets(path, tally):
                piece = segments(packets, file, tally)
                self.packets += len(packets.number)
                self.segments += len(piece)
                if len(piece):
                    yield piece
            self.warnings += tally.warnings()

    def _packets(self, path: Path, tally: Tally) -> Iterator[Packets]:
        known: dict[tuple[str, int], int] = {}

        def register(name: str, before: int) -> int:
            if (name, before) not in known:
                known[name, before] = len(self.interfaces)
                self.interfaces.append(name or _stem(path))
            return known[name, before]

        try:
            file = path.open("rb")
        except OSError as error:
            raise BadInputError(f"{path} cannot be read", why=str(error)) from error
        with file:
            stream = Stream(file)
            window = Window(stream)
            start = bytes(window.octets[window.at : window.at + MAGIC]) if window.has(MAGIC) else b""
            format_ = pcap.find_format(start) if start else None
            if format_ is None:
                raise _no_capture(path, start)
            yield from pcap.PcapReader(window, format_, tally, register("", 0)).pieces(self._most)
            if stream.trouble:
                tally.say(stream.trouble)


def read_captures(paths: Sequence[Path], *, piece_packets: int = PIECE_PACKETS) -> Reading:
    """Read these files together, with so many packets at most in a piece; `BadInputError` for what is no capture."""
    return Reading(paths, piece_packets)


def _stem(path: Path) -> str:
    return (path.with_suffix("") if path.suffix in COMPRESSED else path).stem


def _no_capture(path: Path, start: bytes) -> BadInputError:
    return BadInputError(
        f"{path} is not a capture file",
        why=f"it begins with {start.hex() or 'nothing'}",
        hint="pcap and pcapng are understood, also compressed with gzip or zstd",
    )
