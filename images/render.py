"""The files that an image gets on top of its packages, as text: the tree under `files/`, templates filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import Environment, StrictUndefined

from images.recipe import DANTE_PACKAGE, DANTE_SUITE, HERE, ImageRecipe

TREE = HERE / "files"
TEMPLATE_SUFFIX = ".j2"


@dataclass(frozen=True, slots=True)
class GuestFile:
    """One file: its absolute path in the guest, its content, and its permissions in octal digits."""

    path: str
    text: str
    mode: str = "0644"


def guest_files(recipe: ImageRecipe) -> Iterator[GuestFile]:
    """Every file whose content may be shown; the private host key is copied by the builder."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True, autoescape=False)
    values = {"links": recipe.links, "machine_id": machine_id(recipe)}
    for source in sorted(path for path in TREE.rglob("*") if path.is_file()):
        path = f"/{source.relative_to(TREE)}"
        if source.suffix == TEMPLATE_SUFFIX:
            text = environment.from_string(source.read_text()).render(values)
            yield GuestFile(path.removesuffix(TEMPLATE_SUFFIX), text)
        else:
            yield GuestFile(path, source.read_text())
    yield GuestFile("/root/.ssh/authorized_keys", f"{recipe.client_public_key}\n", "0600")


def machine_id(recipe: ImageRecipe) -> str:
    """A fixed machine-id(5): with an empty one each boot would be a first boot, which takes seconds longer."""
    return hashlib.sha256(f"mpsocks guest {recipe.client_public_key}".encode()).hexdigest()[:32]


def listed(name: str) -> tuple[str, ...]:
    """The entries of a list beside this module: one a line, without comments."""
    lines = (line.strip() for line in (HERE / name).read_text().splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def pin_dante() -> str:
    """apt_preferences(5) that let one package come from the older suite, and nothing else."""
    return (
        f"Package: {DANTE_PACKAGE}\nPin: release n={DANTE_SUITE}\nPin-Priority: 990\n\n"
        f"Package: *\nPin: release n={DANTE_SUITE}\nPin-Priority: -1\n"
    )
