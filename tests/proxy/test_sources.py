"""Where connections begin: as the routes have it, or instead, while those lead nowhere."""

from __future__ import annotations

from socket import AF_INET, AF_INET6

from proxy.sources import AS_ROUTED, DETOUR_SECONDS, DETOURS_TO_LEARN, Sources

FIRST, SECOND, IPV6 = "192.0.2.1", "198.51.100.1", "2001:db8::1"
USUAL = (AS_ROUTED, FIRST, SECOND)
INSTEAD = (SECOND, AS_ROUTED, FIRST)


def sources_that_learned(now: float = 0.0) -> Sources:
    sources = Sources((FIRST, IPV6, SECOND))
    for _ in range(DETOURS_TO_LEARN):
        sources.got_through(AF_INET, SECOND, now)
    return sources


def test_as_a_rule_the_routes_come_first_and_then_the_sources_of_the_family() -> None:
    sources = Sources((FIRST, IPV6, SECOND))
    assert sources.order(AF_INET, 0.0) == USUAL
    assert sources.order(AF_INET6, 0.0) == (AS_ROUTED, IPV6)


def test_a_single_detour_changes_nothing() -> None:
    sources = Sources((FIRST, SECOND))
    sources.got_through(AF_INET, SECOND, 0.0)
    assert sources.order(AF_INET, 0.0) == USUAL
    sources.got_through(AF_INET, AS_ROUTED, 0.0)
    sources.got_through(AF_INET, SECOND, 0.0)
    assert sources.order(AF_INET, 0.0) == USUAL


def test_several_in_a_row_do_for_their_family_and_for_a_while() -> None:
    sources = sources_that_learned()
    assert sources.order(AF_INET, DETOUR_SECONDS - 1) == INSTEAD
    assert sources.order(AF_INET6, 0.0) == (AS_ROUTED, IPV6)
    assert sources.order(AF_INET, DETOUR_SECONDS) == USUAL


def test_connections_that_begin_there_anyhow_do_not_make_the_while_longer() -> None:
    sources = sources_that_learned()
    sources.got_through(AF_INET, SECOND, DETOUR_SECONDS - 1)
    assert sources.order(AF_INET, DETOUR_SECONDS) == USUAL


def test_one_more_detour_after_the_while_is_enough() -> None:
    sources = sources_that_learned()
    sources.got_through(AF_INET, SECOND, DETOUR_SECONDS)
    assert sources.order(AF_INET, DETOUR_SECONDS) == INSTEAD


def test_when_the_routes_get_through_again_they_come_first() -> None:
    sources = sources_that_learned()
    sources.got_through(AF_INET, AS_ROUTED, 1.0)
    assert sources.order(AF_INET, 1.0) == USUAL
