"""The Wireshark dissector for SOCKSv6: into a file, or among this user's plugins."""

from __future__ import annotations

from pathlib import Path

from codec.dissector.install import FOLDERS_COMMAND, plugin_path, write_dissector
from lab.context import Lab
from lab.errors import MpsocksError


def build_dissector(lab: Lab, output: Path) -> Path:
    """Render the dissector from the codec's tables to `output`. Raises `MpsocksError` when that cannot be written."""
    if lab.host.dry:
        print(f"# would write the dissector to {output}")
        return output
    try:
        return write_dissector(output)
    except OSError as error:
        raise MpsocksError(
            f"cannot write {output}", why=error.strerror or str(error), hint="give a file to write with --output"
        ) from error


def install_dissector(lab: Lab) -> Path:
    """Put it where Wireshark and tshark find it at their next start."""
    folders = lab.host.read(*FOLDERS_COMMAND, hint="install tshark or Wireshark")
    try:
        path = plugin_path(folders)
    except ValueError as error:
        raise MpsocksError("cannot install the dissector", why=str(error), hint="use a Wireshark with Lua") from error
    return build_dissector(lab, path)
