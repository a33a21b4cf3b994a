"""Who is served, where the proxy does not go, and the rules between."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from codec.command import Command
from proxy.options import Network, Outward, Rule, Verdict
from proxy.rules import FORBIDDEN_DESTINATIONS, Policy, clients_within, destinations

PUBLIC = "198.51.100.1"
CLIENT = "10.66.6.9"
WEB = (range(80, 81), range(443, 444))
LOCAL_NETWORK = ip_network("192.168.0.0/16")


def nets(*texts: str) -> tuple[Network, ...]:
    return tuple(map(ip_network, texts))


def allow(**fits: object) -> Rule:
    return Rule(Verdict.ALLOW, **fits)  # type: ignore[arg-type]


def deny(**fits: object) -> Rule:
    return Rule(Verdict.DENY, **fits)  # type: ignore[arg-type]


def decided(
    *rules: Rule,
    client: str = CLIENT,
    user: str | None = None,
    command: Command = Command.CONNECT,
    name: str | None = None,
    address: str | None = PUBLIC,
    port: int = 80,
) -> bool:
    """What these rules say of a connection; twice, since what was said is remembered."""
    policy = Policy(rules, Outward())
    first = policy.decide(client, user, command, name=name, address=address, port=port)
    assert policy.decide(client, user, command, name=name, address=address, port=port) is first
    return first


class TestClients:
    @pytest.mark.parametrize(
        ("host", "served"),
        [
            ("10.66.6.1", True), ("::ffff:10.66.6.1", True), ("10.66.7.1", False), ("2001:db8::1", True),
            ("2001:db9::1", False), ("fe80::1%eth0", False), ("64:ff9b::10.66.6.1", False),
        ],
    )  # fmt: skip
    def test_are_served_from_the_networks_named(self, host: str, served: bool) -> None:
        assert clients_within(nets("10.66.6.0/24", "2001:db8::/32"))(host) is served


class TestForbiddenDestinations:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255",
            "::", "::1", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "100.100.100.200",
            "::ffff:127.0.0.1", "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "2002:a9fe:a9fe:1:2:3:4:5",
        ],
    )  # fmt: skip
    def test_are_refused_however_they_are_spelt_and_whatever_the_rules_say(self, host: str) -> None:
        assert not decided(address=host)
        assert not decided(allow(), address=host)

    @pytest.mark.parametrize(
        "host", [PUBLIC, "10.0.0.1", "2001:db8::1", "64:ff9b::198.51.100.1", "2002:c633:6401::1", "::ffff:198.51.100.1"]
    )
    def test_are_no_others(self, host: str) -> None:
        assert decided(address=host)

    def test_are_loopback_addresses_only_unless_allowed(self) -> None:
        open_ = destinations(allow_loopback=True)
        assert open_("127.0.0.1")
        assert open_("::1")
        assert open_("::ffff:127.0.0.1")
        # These lead to the loopback of a translator or tunnel's end, which is not ours to open.
        assert not open_("64:ff9b::127.0.0.1")
        assert not open_("2002:7f00:1::")
        assert not any(open_(str(net[0])) for net in FORBIDDEN_DESTINATIONS if not net[0].is_loopback)

    @pytest.mark.parametrize(
        "name", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "127.0.0.1.", "::1", "0", "FE80::1"]
    )
    def test_may_be_given_as_names(self, name: str) -> None:
        assert not decided(name=name, address=None)

    @pytest.mark.parametrize("name", ["example.com", "localhost", "b\udcfccher.example", "198.51.100.1", "a\0b"])
    def test_other_names_are_judged_by_what_they_resolve_to(self, name: str) -> None:
        assert decided(name=name, address=None)
        assert not decided(name=name, address="127.0.0.1")


class TestRules:
    def test_the_first_that_fits_decides(self) -> None:
        assert decided(allow(ports=WEB), deny())
        assert not decided(deny(ports=WEB), allow())

    def test_with_rules_what_none_fits_is_denied(self) -> None:
        assert not decided(deny(ports=WEB), port=22)
        assert not decided(allow(ports=WEB), port=22)

    @pytest.mark.parametrize("client", ["10.66.6.0", "10.66.6.255", "::ffff:10.66.6.1"])
    def test_by_client(self, client: str) -> None:
        assert decided(allow(clients=nets("10.66.6.0/24")), client=client)
        assert not decided(allow(clients=nets("10.66.7.0/24")), client=client)

    def test_by_user(self) -> None:
        rule = allow(users=("alice", "zoë"))
        assert decided(rule, user="zoë")
        assert not decided(rule, user="bob")
        assert not decided(rule, user=None)

    def test_by_command(self) -> None:
        rule = allow(commands=(Command.CONNECT, Command.BIND))
        assert decided(rule, command=Command.BIND)
        assert not decided(rule, command=Command.UDP_ASSOCIATE)

    @pytest.mark.parametrize(("port", "fits"), [(79, False), (80, True), (81, False), (1023, False), (1024, True)])
    def test_by_port(self, port: int, fits: bool) -> None:
        assert decided(allow(ports=(range(80, 81), range(1024, 0x10000))), port=port) is fits

    def test_of_what_a_rule_says_all_must_fit(self) -> None:
        rule = allow(clients=nets("10.66.6.0/24"), users=("alice",), networks=nets("198.51.100.0/24"), ports=WEB)
        assert decided(rule, user="alice")
        assert not decided(rule, user="alice", port=22)
        assert not decided(rule, user="alice", address="192.0.2.1")
        assert not decided(rule, user="alice", client="10.66.7.1")
        assert not decided(rule, user="bob")


class TestRulesByNetwork:
    @pytest.mark.parametrize(
        ("address", "fits"),
        [
            (PUBLIC, True), ("::ffff:198.51.100.1", True), ("2001:db8::1", True), ("192.0.2.1", False),
            ("2001:db9::1", False),
        ],
    )  # fmt: skip
    def test_both_families(self, address: str, fits: bool) -> None:
        assert decided(allow(networks=nets("198.51.100.0/24", "2001:db8::/32")), address=address) is fits

    def test_do_not_fit_while_the_address_is_not_known(self) -> None:
        everything = nets("0.0.0.0/0", "::/0")
        assert not decided(allow(networks=everything), name="example.com", address=None)
        assert decided(deny(networks=everything), allow(), name="example.com", address=None)
        assert not decided(deny(networks=everything), allow(), name="example.com", address=PUBLIC)

    @pytest.mark.parametrize("spelt", ["64:ff9b::192.168.0.1", "2002:c0a8:1::1"])
    def test_an_address_that_embeds_another_is_denied_for_either_but_allowed_for_its_own_only(self, spelt: str) -> None:
        assert not decided(deny(networks=(LOCAL_NETWORK,)), allow(), address=spelt)
        assert not decided(allow(networks=(LOCAL_NETWORK,)), address=spelt)
        assert decided(allow(networks=nets("64:ff9b::/96", "2002::/16")), address=spelt)

    def test_an_address_given_as_a_name_is_one(self) -> None:
        assert decided(allow(networks=nets("198.51.100.0/24")), name=PUBLIC, address=None)


class TestRulesByName:
    @pytest.mark.parametrize(
        ("name", "fits"),
        [
            ("example.com", True), ("EXAMPLE.com", True), ("example.com.", True), ("www.example.com", False),
            ("notexample.com", False), ("www.example.org", True), ("a.b.Example.ORG.", True), ("example.org", False),
            ("notexample.org", False), ("www.example.org.evil", False), ("b\udcfccher.example", False),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("spelt", [("example.com", ".example.org"), ("Example.Com.", ".EXAMPLE.org.")])
    def test_whole_or_by_suffix(self, name: str, fits: bool, spelt: tuple[str, ...]) -> None:
        assert decided(allow(names=spelt), name=name, address=None) is fits
        assert decided(allow(names=spelt), name=name, address=PUBLIC) is fits

    def test_do_not_fit_an_address(self) -> None:
        assert not decided(allow(names=(".com",)), name=None)

    def test_do_not_fit_an_address_that_is_given_as_a_name(self) -> None:
        assert not decided(allow(names=(".1",)), name=PUBLIC)

    def test_are_not_escaped_from_by_a_backslash(self) -> None:
        assert not decided(deny(names=("example.com",)), allow(), name="exam\\112le.com")

    @pytest.mark.parametrize("name", ["", ".", "..", "bücher.example", "198.51.100.1", "2001:db8::1"])
    def test_must_be_names_that_something_could_fit(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"xn--|goes into networks"):
            Policy([allow(names=(name,))], Outward())


class TestBeforeADestinationIsKnown:
    def may_ask(self, *rules: Rule, user: str | None = None) -> bool:
        return Policy(rules, Outward()).may_ask(CLIENT, user, Command.UDP_ASSOCIATE)

    def test_without_rules_anybody_may_ask(self) -> None:
        assert self.may_ask()

    def test_a_rule_that_may_come_to_allow_it_is_enough(self) -> None:
        assert self.may_ask(deny(ports=WEB), allow(networks=nets("198.51.100.0/24"), names=("example.com",)))

    def test_one_that_denies_it_everywhere_is_final(self) -> None:
        assert not self.may_ask(deny(commands=(Command.UDP_ASSOCIATE,)), allow())

    def test_those_for_others_say_nothing(self) -> None:
        assert not self.may_ask(allow(users=("alice",)), user="bob")
        assert self.may_ask(deny(users=("alice",)), allow(), user="bob")
        assert not self.may_ask(deny(ports=WEB))
