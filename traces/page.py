"""What the reports in HTML have in common: one file each, which opens without a network and runs no one else's code."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import Any


def plotly_script() -> str:
    """Plotly's JavaScript."""
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def policy(*scripts: str) -> str:
    """A content security policy under which only these scripts run, and nothing is fetched from anywhere."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    # Plotly makes style sheets and, to save a plot as a picture, images of its own.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def harmless_json(data: Any) -> str:
    """JSON that may stand in a script element: with no `<` in it nothing ends that element or begins another."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
