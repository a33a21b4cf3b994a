"""Where the dissector goes: to a file of one's choice, or among the user's own Wireshark plugins."""

from __future__ import annotations

import os
import re
from pathlib import Path

from codec.dissector.render import render_dissector

FILE_NAME = "socks6.lua"
FOLDERS_COMMAND = ("tshark", "-G", "folders")
"""Prints where Wireshark looks for things."""


def write_dissector(path: Path) -> Path:
    """Render the dissector to `path`, and return that. Wireshark never sees half a file. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not a name that Wireshark takes for a plugin.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(render_dissector(), encoding="ascii")
    return unfinished.replace(path)


def plugin_path(folders: str) -> Path:
    """Where the dissector belongs, by what `FOLDERS_COMMAND` prints. `ValueError` when that names no such folder."""
    found = re.search(r"^Personal Lua Plugins:\s*(\S.*?)\s*$", folders, re.MULTILINE)
    if found is None:
        raise ValueError("tshark names no folder for the user's Lua plugins: it was built without Lua")
    return Path(found[1]) / FILE_NAME
