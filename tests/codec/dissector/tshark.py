"""tshark with the dissector, in a home folder of its own, and what it says of a capture."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 120
FAULTS = ("Lua Error", "Lua: Error", "error during", "lua:", "Dissector bug")


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet: all fields with their values, in the order of the tree."""

    pairs: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """The values of a field."""
        return [value for found, value in self.pairs if found == name]

    def one(self, name: str) -> str:
        """The value of a field that is there once."""
        (value,) = self.all(name)
        return value

    @property
    def complaints(self) -> list[str]:
        """The expert information of the dissector."""
        found = [number for number, (name, _) in enumerate(self.pairs) if name.startswith("socks6.expert.")]
        return [self.pairs[number + 1][1] for number in found]

    def under(self, prefix: str) -> list[tuple[str, str]]:
        """The fields whose names start so."""
        return [pair for pair in self.pairs if pair[0].startswith(prefix)]


@dataclass(frozen=True, slots=True)
class Tshark:
    """A dissector's file, and a home folder without the user's own plugins and preferences."""

    dissector: Path
    home: Path

    def run(self, capture: Path, *arguments: str) -> str:
        """What tshark prints. Any trace of an error in Lua is a failure."""
        done = subprocess.run(
            ["tshark", "-n", "-r", str(capture), "-X", f"lua_script:{self.dissector}", *arguments],
            env=self._environment, capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for fault in FAULTS:
            assert fault not in done.stderr, done.stderr
            assert fault not in done.stdout, done.stdout[max(0, done.stdout.index(fault) - 500) :][:1500]
        return done.stdout

    def plugged_in(self, *command: str, stdin: str = "") -> str:
        """What tshark or sharkd prints that loads its plugins from the home folder."""
        done = subprocess.run(
            command, env=self._environment, input=stdin, capture_output=True, text=True, check=True, timeout=PATIENCE
        )
        return done.stdout

    @property
    def _environment(self) -> dict[str, str]:
        home = str(self.home)
        return {**os.environ, "HOME": home, "XDG_CONFIG_HOME": f"{home}/.config", "WIRESHARK_CONFIG_DIR": home}

    def frames(self, capture: Path, *arguments: str) -> list[Frame]:
        """Every frame with all of its fields."""
        parsed = json.loads(self.run(capture, "-T", "json", *arguments), object_pairs_hook=list)
        return [Frame(list(_flat(dict(packet)["_source"]))) for packet in parsed]

    def streams(self, capture: Path, *arguments: str) -> dict[int, list[Frame]]:
        """The frames by TCP connection."""
        found: dict[int, list[Frame]] = {}
        for frame in self.frames(capture, *arguments):
            found.setdefault(int(frame.all("tcp.stream")[0]), []).append(frame)
        return found

    def columns(self, capture: Path, *arguments: str) -> list[tuple[str, str]]:
        """Protocol and info column of each frame."""
        lines = self.run(
            capture, "-T", "fields", "-e", "_ws.col.Protocol", "-e", "_ws.col.Info", *arguments
        ).splitlines()
        return [(protocol, info) for protocol, _, info in (line.partition("\t") for line in lines)]


def merged(frames: list[Frame]) -> Frame:
    """Frames as if they were one."""
    return Frame([pair for frame in frames for pair in frame.pairs])


def _flat(tree: Any) -> Iterator[tuple[str, str]]:
    for name, value in tree:
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, list):
            yield name, ""
            # A list of pairs is an object; of strings, an array.
            yield from _flat(value if value and isinstance(value[0], tuple) else [(name, one) for one in value])
