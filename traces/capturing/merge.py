"""Merging captures of single interfaces into one file, by time, in memory that does not grow with them."""

from __future__ import annotations

import heapq
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from lab.errors import MpsocksError
from traces.capturing.pcapng_writer import MICROSECONDS, NANOSECONDS, Interface, PcapngWriter, Statistics
from traces.capturing.records import Records

BUFFER = 1 << 20
TELL_EVERY = 50_000
OWNER_ONLY = 0o600
SYSTEM = f"{platform.system()} {platform.release()}"


@dataclass(frozen=True, slots=True)
class Part:
    """One pcap file, and what the merged one is to say of its interface."""

    path: Path
    name: str
    description: str = ""
    expression: str = ""
    """The pcap filter with which it was taken."""
    system: str = ""
    statistics: Statistics | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """What is in a merged file."""

    packets: tuple[int, ...]
    """For each part."""
    warnings: tuple[str, ...]
    """What was odd about the parts, such as an end that is cut off: what came before it is there."""


def merge(
    parts: Sequence[Part], output: Path, application: str, on_packets: Callable[[int], None] = lambda _: None
) -> Merged:
    """Write the packets of all parts to `output`, a pcapng file that must not exist yet, ordered by time.

    Packets of one part keep their order, also where its clock went backwards. `on_packets` is told now and then how
    many have been written. `MpsocksError` when a part is no pcap file or there is no room.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(closing(Records(part.path))) for part in parts]
        try:
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        except OSError as error:
            raise _not_written(output, error) from error
        try:
            with os.fdopen(descriptor, "wb", buffering=BUFFER) as stream:
                counts = _write(PcapngWriter(stream, application, SYSTEM), parts, files, on_packets)
        except OSError as error:
            output.unlink()
            raise _not_written(output, error) from error
        return Merged(tuple(counts), tuple(warning for file in files for warning in file.warnings))


def _not_written(output: Path, error: OSError) -> MpsocksError:
    return MpsocksError(
        f"{output} cannot be written", why=str(error), hint="make room; the single captures are still beside it"
    )


def _write(
    writer: PcapngWriter, parts: Sequence[Part], files: Sequence[Records], on_packets: Callable[[int], None]
) -> list[int]:
    """Write all there is; return how many packets each part had."""
    for part, file in zip(parts, files, strict=True):
        writer.add_interface(_interface(part, file))
    counts, units = [0] * len(files), [file.unit for file in files]
    records = heapq.merge(*(file.numbered(number) for number, file in enumerate(files)))
    add_packet = writer.add_packet
    for written, (time, number, length, octets) in enumerate(records, 1):
        add_packet(number, time // units[number], length, octets)
        counts[number] += 1
        if written % TELL_EVERY == 0:
            on_packets(written)
    for number, part in enumerate(parts):
        if part.statistics:
            writer.add_statistics(number, part.statistics)
    return counts


def _interface(part: Part, file: Records) -> Interface:
    resolution = NANOSECONDS if file.unit == 1 else MICROSECONDS
    return Interface(
        part.name, file.link_type, file.snap_length, resolution, part.description, part.expression, part.system
    )
