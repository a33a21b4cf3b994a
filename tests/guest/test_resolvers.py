"""The guest is told the lab host's name servers, but for those that only the host can reach."""

from __future__ import annotations

import pytest

from guest.resolvers import host_nameservers, reachable_nameservers
from lab.errors import MpsocksError
from lab.runner import Runner


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("nameserver 192.0.2.53\n", ("192.0.2.53",)),
        ("search lan\nnameserver 192.0.2.53\noptions edns0\nnameserver 2001:db8::53", ("192.0.2.53", "2001:db8::53")),
        ("nameserver 127.0.0.53\nnameserver ::1\n", ()),
        ("nameserver fe80::1%wlp1s0\nnameserver 169.254.1.1\nnameserver 192.168.1.1", ("192.168.1.1",)),
        ("# nameserver 192.0.2.1\n;nameserver 192.0.2.2\nnameserver\n", ()),
        ("nameserver 192.0.2.1 # the router\n\tnameserver   192.0.2.2\n", ("192.0.2.1", "192.0.2.2")),
        ("".join(f"nameserver 192.0.2.{n}\n" for n in range(1, 6)), ("192.0.2.1", "192.0.2.2", "192.0.2.3")),
        ("nameserver not-an-address\nnameserver 192.0.2.53\n", ("192.0.2.53",)),
        ("", ()),
    ],
)
def test_usable_servers_are_picked_in_their_order(text: str, servers: tuple[str, ...]) -> None:
    assert reachable_nameservers(text, (4, 6)) == servers


@pytest.mark.parametrize(
    ("families", "servers"),
    [((4,), ("192.0.2.53",)), ((6,), ("2001:db8::53",)), ((4, 6), ("2001:db8::53", "192.0.2.53"))],
)
def test_a_guest_is_told_only_what_its_own_addresses_reach(families: tuple[int, ...], servers: tuple[str, ...]) -> None:
    text = "nameserver 2001:db8::53\nnameserver 192.0.2.53\n"
    assert reachable_nameservers(text, families) == servers


def test_without_a_word_the_guest_is_one_of_ipv4(here: Runner) -> None:
    assert host_nameservers(etc(here, "nameserver 2001:db8::53", "nameserver 192.0.2.53")) == ("192.0.2.53",)
    assert host_nameservers(etc(here, "nameserver 2001:db8::53", ""), (6,)) == ("2001:db8::53",)


def etc(here: Runner, resolv_conf: str, stub: str) -> Runner:
    """A host on which `cat` prints these files."""
    script = f'case $2 in /etc/*) printf %s "{resolv_conf}";; *) printf %s "{stub}";; esac'
    return here.inside("sh", "-c", script, "sh")


def test_behind_a_stub_resolver_the_servers_that_it_asks_are_taken(here: Runner) -> None:
    assert host_nameservers(etc(here, "nameserver 127.0.0.53", "nameserver 192.0.2.53")) == ("192.0.2.53",)
    assert host_nameservers(etc(here, "nameserver 192.0.2.1", "nameserver 192.0.2.53")) == ("192.0.2.1",)


def test_when_there_is_none_the_setting_is_named(here: Runner) -> None:
    with pytest.raises(MpsocksError, match="no name server for the guest") as refused:
        host_nameservers(etc(here, "nameserver 127.0.0.1", "nameserver 2001:db8::53"))
    assert "IPv4" in refused.value.why
    assert "INVOKE_MPSOCKS_GUEST_NAMESERVERS=" in refused.value.hint
