"""Boots the guest's kernel on an empty disk, on taps that stand, and prints the error that it ends in."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from invoke.config import Config
from invoke.context import Context

from guest.boot import boot
from images.build import Image
from lab.context import make_lab
from lab.errors import MpsocksError
from lab.parts import guest_kernel
from lab.settings import defaults
from lab.standing import standing_taps


def main() -> None:
    config = Config(defaults={**Config.global_defaults(), **defaults()})
    config.load_shell_env()
    lab = make_lab(Context(config))
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "blank.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], check=True)
        try:
            boot(lab, Image(disk, "blank"), guest_kernel(lab), standing_taps(lab), cold=True)
        except MpsocksError as error:
            print(error)


if __name__ == "__main__":
    main()
