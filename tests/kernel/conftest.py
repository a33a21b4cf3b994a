"""A kernel tree small enough to build in a moment, with the entry points that the builder calls in a real one."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.config import Config
from invoke.context import Context

from lab.cache import Cache
from lab.progress import Progress
from lab.runner import Runner

MAKEFILE = """\
tinyconfig:
\t@echo '# CONFIG_64BIT is not set' > $(O)/.config
bzImage:
\t@echo '  CC      init/main.o'
\t@echo built >> $(O)/builds
\t@mkdir -p $(O)/arch/x86/boot $(O)/include/config
\t@cp $(O)/.config $(O)/arch/x86/boot/bzImage
\t@echo 6.99.0-toy > $(O)/include/config/kernel.release
"""
# Kconfig's part: of what the fragments ask for, CONFIG_UNHEARD_OF is a symbol that this kernel does not have.
MERGE = """\
[ "$1 $2" = "-n -O" ] || exit 1
out=$3; shift 3
cat "$@" | grep -v '^CONFIG_UNHEARD_OF=' > "$out/.config.new"
mv "$out/.config.new" "$out/.config"
"""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def runner() -> Runner:
    return Runner(Context())


@pytest.fixture
def dry() -> Runner:
    """Prints the commands that would change something."""
    return Runner(Context(Config(overrides={"run": {"dry": True}})))


@pytest.fixture
def progress() -> Progress:
    return Progress()


@pytest.fixture
def toy_tree(tmp_path: Path) -> Path:
    """The source folder of a toy kernel."""
    tree = tmp_path / "linux"
    (tree / "scripts/kconfig").mkdir(parents=True)
    (tree / "Makefile").write_text(MAKEFILE)
    (tree / "scripts/kconfig/merge_config.sh").write_text(MERGE)
    return tree


@pytest.fixture
def fragment(tmp_path: Path) -> Path:
    """A user's own fragment."""
    path = tmp_path / "own.config"
    path.write_text("# for the test\nCONFIG_OWN=y\n")
    return path
