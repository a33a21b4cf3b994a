"""`make-reference`: makes the reference captures anew, in an emulated internet with a box that intercepts plain TCP."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from lab.context import Lab
from lab.parts import with_options
from traces.capturing.merge import SYSTEM
from traces.inside import UPLINKS, emulated_internet, report_of, task_argv
from traces.neutrality.table import LINES
from traces.reference.recipes import RECIPES, TABLE, Recipe, counted

FOLDER = Path(__file__).parent
TRUTH = "truth.json"
BOOT = ("boot-socks", "--itf", UPLINKS, "--detach")
SUFFIX = ".pcapng"


def make_reference(lab: Lab, output: Path | None) -> list[Path]:
    """Make all of them into a folder (None: where they are kept), with what curl counted in `TRUTH`.

    `MpsocksError` when an emulated internet is up already, or a part of the lab fails.
    """
    lab = with_options(lab, testbed={"interception": True})
    folder = output or FOLDER
    with emulated_internet(lab):
        return _rehearse(lab, folder) if lab.host.dry else _make(lab, folder)


def _make(lab: Lab, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    socks = report_of(lab, *BOOT, failed="the lab did not come up")["socks"]
    truth = {}
    for recipe in RECIPES:
        with lab.progress.stage(f"capturing {recipe.name}"):
            sent, received = _capture(lab, recipe, socks, folder)
        truth[f"{recipe.name}{SUFFIX}"] = {"bytes_c2s": sent, "bytes_s2c": received}
    kept = Path(report_of(lab, *TABLE, failed="the network was not judged")["folder"])
    for line in LINES:
        shutil.copyfile(kept / f"{line.name}.pcap", folder / f"{line.name}.pcap")
    (folder / TRUTH).write_text(json.dumps(truth, indent=2) + "\n")
    return sorted(path for path in folder.iterdir() if path.suffix in {".pcap", SUFFIX})


def _capture(lab: Lab, recipe: Recipe, socks: str, folder: Path) -> tuple[int, int]:
    """Make one capture, and return the octets that the client sent and received."""
    run = lab.state / "reference" / recipe.name
    shutil.rmtree(run, ignore_errors=True)
    report_of(lab, *_task(recipe, run), failed=f"{recipe.name} was not captured", command=recipe.command(socks))
    host = json.loads((run / "manifest.json").read_text())["machines"]["host"]["facts"]["kernel"]
    (folder / f"{recipe.name}{SUFFIX}").write_bytes(without((run / "capture.pcapng").read_bytes(), host, SYSTEM))
    return counted((run / "stderr.txt").read_text())


def without(capture: bytes, *systems: str) -> bytes:
    """The capture without the kernel of the machine that made it; all else stays in its place."""
    for system in systems:
        capture = capture.replace(system.encode(), b"Linux".ljust(len(system.encode())))
    return capture


def _task(recipe: Recipe, run: Path) -> tuple[str, ...]:
    return ("capture", "--itf", UPLINKS, "--filter", "tcp port 80", "--out", str(run), *recipe.options)


def _rehearse(lab: Lab, folder: Path) -> list[Path]:
    lab.host.change(*task_argv(lab, *BOOT))
    for recipe in RECIPES:
        run = lab.state / "reference" / recipe.name
        lab.host.change(*task_argv(lab, *_task(recipe, run), "--", *recipe.command("SOCKS")))
    lab.host.change(*task_argv(lab, *TABLE))
    print(f"# then the captures are copied into {folder}")
    return []
