"""Reading capture files: pcap and pcapng, also compressed, to columns of TCP segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import BadInputError
from traces.reading import pcap, pcapng
from traces.reading.link import without_header
from traces.reading.packets import Packets, Register
from traces.reading.segments import Segments
from traces.reading.stream import Stream, Window
from traces.reading.tally import Tally
from traces.reading.tcp import segments

PIECE_PACKETS, PIECE_OCTETS = 1 << 16, 1 << 22
"""The columns of such a piece stay in the processor's cache, and calls of NumPy take no time beside it."""
MAGIC = 4
MOST_INTERFACES = 0xFFFF
OTHER_FORMATS = {
    b"\xa1\xb2\xcd\x34": "it is of the modified pcap format (Kuznetzov's), whose records differ",
    b"\xa1\xe2\xcb\x12": "it is of the pcap format of NetScout or IXIA, whose records differ",
    b"snoo": "it is of the snoop format (RFC 1761)",
}
"""By the first four octets, in either order."""
COMPRESSED = (".gz", ".zst")


class Reading:
    """The segments of some files, in pieces: iterate once, each file from begin to end, one after the other.

    What it tells beside the pieces grows while one iterates, and is whole at the end.
    """

    def __init__(
        self, paths: Sequence[Path], piece_packets: int, piece_octets: int, link_header: int | None = None
    ) -> None:
        self.paths = tuple(paths)
        self.interfaces: list[str] = []
        """Names by index; of one that the file gives no name, the file's own."""
        self.warnings: list[str] = []
        """What could not be read, with file and packet number."""
        self.packets = 0
        """Of any protocol."""
        self.segments = 0
        self._most = piece_packets
        self._octets = piece_octets
        self._link_header = link_header

    def __iter__(self) -> Iterator[Segments]:
        for file, path in enumerate(self.paths):
            tally = Tally(path)
            for packets in self._packets(path, tally):
                header = self._link_header
                piece = segments(packets if header is None else without_header(packets, header), file, tally)
                self.packets += packets.seen
                self.segments += len(piece)
                if len(piece):
                    yield piece
            self.warnings += tally.warnings()

    def _packets(self, path: Path, tally: Tally) -> Iterator[Packets]:
        known: dict[tuple[str, int], int] = {}

        def register(name: str, before: int) -> int:
            if (name, before) not in known:
                known[name, before] = min(len(self.interfaces), MOST_INTERFACES)
                self.interfaces[known[name, before] :] = [name or _stem(path)]
            return known[name, before]

        try:
            file = path.open("rb")
        except OSError as error:
            raise BadInputError(f"{path} cannot be read", why=str(error)) from error
        with file:
            stream = Stream(file)
            window = Window(stream, self._octets)
            yield from self._pieces(path, window, tally, register)
            if stream.trouble:
                tally.say(stream.trouble)

    def _pieces(self, path: Path, window: Window, tally: Tally, register: Register) -> Iterator[Packets]:
        start = bytes(window.octets[window.at : window.at + MAGIC]) if window.has(MAGIC) else b""
        if not start and window.stream.trouble:
            return iter(())
        if start == pcapng.MAGIC:
            return pcapng.PcapngReader(window, tally, register).pieces(self._most)
        format_ = pcap.find_format(start) if start else None
        if format_ is None:
            raise _no_capture(path, start)
        return pcap.PcapReader(window, format_, tally, register("", 0)).pieces(self._most)


def read_captures(
    paths: Sequence[Path],
    *,
    piece_packets: int = PIECE_PACKETS,
    piece_octets: int = PIECE_OCTETS,
    link_header: int | None = None,
) -> Reading:
    """Read these files together. With `link_header`, IP begins so many octets into each packet.

    A piece has so many packets at most, and so many octets of the file; a longer packet is a piece alone. Iterating
    raises `BadInputError` for a file that is no capture. One that is damaged or cut off is read as far as it is sound.
    """
    return Reading(paths, piece_packets, piece_octets, link_header)


def _stem(path: Path) -> str:
    return (path.with_suffix("") if path.suffix in COMPRESSED else path).stem


def _no_capture(path: Path, start: bytes) -> BadInputError:
    why = next((kind for magic, kind in OTHER_FORMATS.items() if start in (magic, magic[::-1])), "")
    return BadInputError(
        f"{path} is not a capture file that is understood",
        why=why or f"it begins with {start.hex() or 'nothing'}",
        hint="Wireshark's editcap makes pcapng of many formats: editcap FILE FILE.pcapng",
    )
