"""How targets are named, and what the settings add."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lab.errors import BadInputError, MpsocksError
from lab.runner import Runner
from lab.settings import NeutralitySettings
from traces.neutrality.targets import Wanted, parse_targets

USUAL = NeutralitySettings(targets="mptcp.test:80=mptcp,plain.test:80/file=tcp", path="/bytes/{bytes}")
NONE = NeutralitySettings()


def test_those_of_the_settings_are_taken_when_none_is_named() -> None:
    assert parse_targets((), USUAL) == (
        Wanted("mptcp.test", 80, "/bytes/{bytes}", True),
        Wanted("plain.test", 80, "/file", False),
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.test:8080", Wanted("a.test", 8080, "/", None)),
        ("a.test:443/large?x=1".replace("=1", ""), Wanted("a.test", 443, "/large?x", None)),
        ("a.test:80/file=mptcp", Wanted("a.test", 80, "/file", True)),
        ("192.0.2.7:80=tcp", Wanted("192.0.2.7", 80, "/", False)),
        ("[2001:db8::7]:80/", Wanted("2001:db8::7", 80, "/", None)),
    ],
)
def test_a_target_is_a_host_with_a_port_and_perhaps_more(text: str, wanted: Wanted) -> None:
    assert parse_targets((text, "other.test:80"), NONE)[0] == wanted


def test_several_can_be_named_at_once_and_one_twice_counts_once() -> None:
    found = parse_targets(("a.test:80,b.test:80", "a.test:80"), NONE)
    assert [one.host for one in found] == ["a.test", "b.test"]


def test_what_is_left_open_is_taken_from_the_settings() -> None:
    found = parse_targets(("mptcp.test:80", "plain.test:80", "mptcp.test:81"), USUAL)
    assert [(one.path, one.speaks_mptcp) for one in found] == [
        ("/bytes/{bytes}", True),
        ("/file", False),
        ("/bytes/{bytes}", None),
    ]


def test_a_single_one_gets_the_company_of_a_server_without_mptcp() -> None:
    assert [one.host for one in parse_targets(("a.test:80=mptcp",), USUAL)] == ["a.test", "plain.test"]


def test_several_that_all_speak_mptcp_get_the_same_company() -> None:
    both = ("a.test:80=mptcp", "b.test:80=mptcp")
    assert [one.host for one in parse_targets(both, USUAL)] == ["a.test", "b.test", "plain.test"]
    with pytest.raises(BadInputError, match="every target speaks MPTCP"):
        parse_targets(both, NONE)
    unknown = ("a.test:80=mptcp", "b.test:80")
    assert [one.host for one in parse_targets(unknown, NONE)] == ["a.test", "b.test"]


def test_one_target_named_twice_is_one() -> None:
    with pytest.raises(BadInputError, match="too few"):
        parse_targets(("a.test:80", "a.test:80"), NONE)


NO_TARGETS = ("a.test", "a.test:0", "a.test:65536", "a.test:80=sctp", "http://a.test:80/", "[::1:80")
TOO_FEW = ("a.test:80", "")


@pytest.mark.parametrize("named", [*NO_TARGETS, *TOO_FEW])
def test_what_is_no_target_and_too_few_are_refused(named: str) -> None:
    with pytest.raises(BadInputError) as refused:
        parse_targets((named,), NONE)
    assert refused.value.hint


def test_names_and_addresses_are_resolved_to_the_family_of_the_tap(here: Runner) -> None:
    assert Wanted("192.0.2.7", 80, "/", None).resolved(here, 4).address == ip_address("192.0.2.7")
    assert Wanted("localhost", 80, "/", True).resolved(here, 4).address == ip_address("127.0.0.1")
    with pytest.raises(MpsocksError, match=r"no IPv6 address of 192\.0\.2\.7"):
        Wanted("192.0.2.7", 80, "/", None).resolved(here, 6)
