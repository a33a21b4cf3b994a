"""Rendering the Jinja2 templates that live beside the modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: Path, *, autoescape: bool = False, **values: Any) -> str:
    """The text of `template` with `values`; a name that the template wants and did not get is an error.

    `autoescape` is for XML and HTML.
    """
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        autoescape=autoescape,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(values)
