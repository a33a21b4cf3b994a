"""What this machine must have to build a kernel."""

from __future__ import annotations

from lab.errors import MpsocksError
from lab.runner import Runner

# Command, and the Debian package that has it.
TOOLS = {
    "bc": "bc",
    "bison": "bison",
    "flex": "flex",
    "gcc": "gcc",
    "gzip": "gzip",
    "ld": "binutils",
    "make": "make",
    "perl": "perl-base",
    "tar": "tar",
    "xz": "xz-utils",
}
# File, and the Debian package that has it: for the programs that the build makes for itself.
HEADERS = {
    "/usr/include/gelf.h": "libelf-dev",
    "/usr/include/stdio.h": "libc6-dev",
}


def missing_packages(runner: Runner) -> list[str]:
    """The Debian packages whose command or header is not there; one look for all."""
    found = {f"command -v {tool}": package for tool, package in TOOLS.items()}
    found |= {f"test -e {header}": package for header, package in HEADERS.items()}
    return runner.read("sh", "-c", "\n".join(f"{it} >/dev/null || echo {of}" for it, of in found.items())).split()


def require_tools(runner: Runner) -> None:
    """Raise an error that names what is missing."""
    missing = missing_packages(runner)
    if missing:
        raise MpsocksError(
            "this machine cannot build a kernel yet",
            why=f"missing: {', '.join(missing)}",
            hint=f"apt-get install {' '.join(missing)}, or take Debian's kernel with --stock",
        )
