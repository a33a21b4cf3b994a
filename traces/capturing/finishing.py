"""After the capture: fetch, count, merge, and write down the circumstances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.context import Lab
from lab.errors import MpsocksError
from traces.capturing.counts import Counts, read_counts
from traces.capturing.guest_machine import log_in
from traces.capturing.machine import Counters, Look, Machine, traffic
from traces.capturing.manifest import NAME as MANIFEST
from traces.capturing.manifest import OWNER_ONLY, application, files_in, timestamp, versions, write_manifest
from traces.capturing.merge import Part, merge
from traces.capturing.outcome import Captured, InterfaceOutcome, warnings
from traces.capturing.pcapng_writer import Statistics
from traces.capturing.sources import Source, machines_of
from traces.capturing.taking import Taken

MERGED = "capture.pcapng"


def finish(lab: Lab, taken: Taken, looks: dict[str, Look]) -> Captured:
    """Make the merged capture and the manifest of what was taken; `looks` are how the machines were before it."""
    after, problems = _fetch(lab, taken)
    files = [taken.folder / source.file_name for source in taken.sources]
    counts = [read_counts(_log(file)) for file in files]
    there = [number for number, file in enumerate(files) if file.exists()]
    parts = [_part(taken, number, looks, counts[number]) for number in there]
    with lab.progress.stage("merging") as stage:
        merged = merge(parts, taken.folder / MERGED, application(), lambda done: stage.tell(f"{done} packets"))
    packets = dict(zip(there, merged.packets, strict=True))
    outcomes = tuple(
        _outcome(source, packets.get(number, 0), counts[number], looks[source.machine.name].counters, after)
        for number, source in enumerate(taken.sources)
    )
    told = (*problems, *merged.warnings, *warnings(outcomes, taken.lost))
    if not taken.request.keep:
        for file in files:
            file.unlink(missing_ok=True)
            _log_path(file).unlink(missing_ok=True)
    captured = Captured(
        folder=taken.folder,
        file=taken.folder / MERGED,
        manifest=taken.folder / MANIFEST,
        ended_by=taken.ending,
        seconds=(taken.ended - taken.started) / 1e9,
        exit_code=taken.exit_code,
        interfaces=outcomes,
        warnings=told,
    )
    write_manifest(taken.folder, _manifest(lab, taken, captured, looks))
    return captured


def _fetch(lab: Lab, taken: Taken) -> tuple[dict[str, Counters], list[str]]:
    """Bring captures of other machines here; return every machine's counters, by its name, and what went wrong."""
    after: dict[str, Counters] = {}
    problems = []
    for machine in machines_of(taken.sources):
        try:
            if machine.folder:
                log_in(lab, machine)
            after[machine.name] = traffic(machine.runner)
            if machine.folder:
                _fetch_files(lab, taken, machine)
        except MpsocksError as error:
            problems.append(f"{machine.title} cannot be asked any more: {error.what}")
    return after, problems


def _fetch_files(lab: Lab, taken: Taken, machine: Machine) -> None:
    with lab.progress.stage(f"fetching the captures of {machine.title}"):
        for source, step in zip(taken.sources, taken.steps, strict=True):
            if source.machine is machine:
                file = taken.folder / source.file_name
                step.fetch(lab.host, file)
                log = _log_path(file)
                log.touch(mode=OWNER_ONLY)
                log.write_text(step.said(lab.host))
        machine.runner.change("rm", "-r", machine.folder)


def _part(taken: Taken, number: int, looks: dict[str, Look], counts: Counts | None) -> Part:
    source = taken.sources[number]
    look = looks[source.machine.name]
    statistics = Statistics(taken.started, taken.ended)
    if counts:
        statistics = Statistics(
            taken.started,
            taken.ended,
            received=counts.received_by_filter,
            dropped=counts.dropped_by_kernel + counts.dropped_by_interface,
            dropped_by_kernel=counts.dropped_by_kernel,
            delivered=counts.captured,
        )
    description = f"{source.interface} of {source.machine.title}{look.clock_note()}"
    return Part(
        taken.folder / source.file_name, source.label, description, source.expression, look.facts["kernel"], statistics
    )


def _outcome(
    source: Source, packets: int, counts: Counts | None, before: Counters, after: dict[str, Counters]
) -> InterfaceOutcome:
    earlier = before.get(source.interface, {})
    later = after.get(source.machine.name, {}).get(source.interface, {})
    return InterfaceOutcome(
        name=source.label,
        machine=source.machine.name,
        interface=source.interface,
        expression=source.expression,
        packets=packets,
        counts=counts,
        kernel={name: later[name] - value for name, value in earlier.items() if name in later},
    )


def _manifest(lab: Lab, taken: Taken, captured: Captured, looks: dict[str, Look]) -> dict[str, Any]:
    """Nothing of the command's environment is in it: that holds secrets."""
    request = taken.request
    report = captured.as_json()
    return {
        "versions": versions(lab.host),
        "started": timestamp(taken.started),
        "ended": timestamp(taken.ended),
        **{name: report[name] for name in ("seconds", "ended_by", "exit_code")},
        "command": list(request.command),
        "seconds_asked_for": request.seconds,
        "snap_length": request.snap_length,
        "buffer_mib": request.buffer,
        "filter": request.expression,
        "interfaces": report["interfaces"],
        "warnings": report["warnings"],
        "machines": {name or "host": look.as_json() for name, look in looks.items()},
        "files": files_in(captured.folder),
    }


def _log_path(capture: Path) -> Path:
    return capture.with_name(f"{capture.name}.log")


def _log(capture: Path) -> str:
    path = _log_path(capture)
    return path.read_text() if path.exists() else ""
