"""Templates are strict: a name that is not given is an error, not an empty word in a ruleset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from lab import host_network
from lab.templates import render

NAT = Path(host_network.__file__).with_name("nat.nft.j2")
VALUES: dict[str, Any] = {
    "table": "mpsocks-nat-0",
    "uplink": "wlp1s0",
    "tap": "mptcp0",
    "ip": "ip",
    "network": "10.66.6.0/24",
}


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="guard_uplink"):
        render(NAT, **VALUES)


@pytest.mark.parametrize("guard", [True, False])
def test_the_nat_table_guards_an_uplink_that_did_not_forward(guard: bool) -> None:
    text = render(NAT, **VALUES, guard_uplink=guard)
    assert 'oifname "wlp1s0" ip saddr 10.66.6.0/24 masquerade' in text
    assert ('iifname "wlp1s0" ct state != { established, related } counter drop' in text) == guard
    assert text.endswith("}\n")


def test_only_xml_is_escaped(tmp_path: Path) -> None:
    template = tmp_path / "t.j2"
    template.write_text("{{ value }}")
    assert render(template, value="a&b") == "a&b"
    assert render(template, value="a&b", autoescape=True) == "a&amp;b"
