"""Fragments as data, and the check that a finished configuration kept what they ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.config import Request, merged, parse_config, parse_fragment, require_met, unmet
from kernel.recipe import OWN_FRAGMENTS, KernelRecipe
from lab.errors import BadInputError, MpsocksError


def requests(**symbols: str) -> dict[str, Request]:
    return {f"CONFIG_{name}": Request(f"CONFIG_{name}", value, "test.config") for name, value in symbols.items()}


def test_a_config_names_what_is_on_and_what_is_off() -> None:
    text = '#\n# Networking\n#\nCONFIG_NET=y\nCONFIG_HZ=250\nCONFIG_LOCALVERSION="-lab"\n# CONFIG_MODULES is not set\n'
    assert parse_config(text) == {
        "CONFIG_NET": "y",
        "CONFIG_HZ": "250",
        "CONFIG_LOCALVERSION": '"-lab"',
        "CONFIG_MODULES": "n",
    }


def test_what_held_is_not_reported() -> None:
    config = {"CONFIG_NET": "y", "CONFIG_MODULES": "n"}
    assert unmet(requests(NET="y", MODULES="n", NEVER_HEARD="n"), config) == []


@pytest.mark.parametrize(
    ("wanted", "config", "reported"),
    [
        ("y", {}, "CONFIG_MPTCP=y, asked for in test.config: it is not there"),
        ("y", {"CONFIG_MPTCP": "n"}, "CONFIG_MPTCP=y, asked for in test.config: it is off"),
        ("250", {"CONFIG_MPTCP": "100"}, "CONFIG_MPTCP=250, asked for in test.config: it is 100"),
        ("n", {"CONFIG_MPTCP": "y"}, "# CONFIG_MPTCP is not set, asked for in test.config: it is y"),
    ],
)
def test_what_did_not_hold_is_named_with_what_it_is_instead(wanted: str, config: dict[str, str], reported: str) -> None:
    with pytest.raises(MpsocksError, match="1 kernel setting did not hold") as caught:
        require_met(requests(MPTCP=wanted, NET="y"), config | {"CONFIG_NET": "y"})
    assert caught.value.why == reported


def test_every_failed_request_is_named_at_once() -> None:
    with pytest.raises(MpsocksError, match="3 kernel settings did not hold"):
        require_met(requests(A="y", B="y", C="y"), {})


def test_a_later_fragment_wins() -> None:
    first = [Request("CONFIG_HZ", "250", "base.config")]
    second = [Request("CONFIG_HZ", "1000", "own.config")]
    assert merged([first, second])["CONFIG_HZ"].fragment == "own.config"


@pytest.mark.parametrize("line", ["CONFIG_NET", "NET=y", "CONFG_NET=y", "CONFIG_NET = y"])
def test_a_line_that_would_do_nothing_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "own.config"
    path.write_text(f"# a comment\n\n{line}\n")
    with pytest.raises(BadInputError, match=r"own\.config:3"):
        parse_fragment(path)


def test_a_fragment_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.config"
    path.write_bytes(b'CONFIG_LOCALVERSION="\xe9"\n')
    with pytest.raises(BadInputError, match=r"own\.config cannot be read") as refused:
        parse_fragment(path)
    assert "UTF-8" in refused.value.hint


def test_the_projects_fragments_do_not_contradict_each_other() -> None:
    seen: dict[str, Request] = {}
    for path in sorted(OWN_FRAGMENTS.glob("*.config")):
        for request in parse_fragment(path):
            assert request.symbol not in seen, f"{request.symbol} is in {seen[request.symbol].fragment} too"
            seen[request.symbol] = request


@pytest.mark.parametrize(
    "symbol",
    ["MPTCP_IPV6", "INET_MPTCP_DIAG", "VIRTIO_NET", "EXT4_FS", "NFT_TPROXY", "NFT_SOCKET", "NFT_REDIR", "NET_SCH_NETEM",
     "NET_SCH_TBF", "NET_SCH_HTB", "IP_MULTIPLE_TABLES", "VETH", "TUN", "PACKET", "SECCOMP_FILTER", "CGROUP_BPF",
     "USER_NS", "VMGENID", "HW_RANDOM_VIRTIO"],
)  # fmt: skip
def test_what_the_lab_relies_on_is_asked_for(symbol: str) -> None:
    assert KernelRecipe().requests()[f"CONFIG_{symbol}"].value == "y"


def test_there_are_no_modules() -> None:
    asked = KernelRecipe().requests()
    assert asked["CONFIG_MODULES"].value == "n"
    assert "m" not in {request.value for request in asked.values()}
