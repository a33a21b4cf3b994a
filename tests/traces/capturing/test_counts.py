"""What tcpdump says at its end."""

from __future__ import annotations

from traces.capturing.counts import Counts, read_counts

HEAD = "tcpdump: listening on wlan1, link-type EN10MB (Ethernet), snapshot length 128 bytes\n"
# What it answers to SIGUSR1, meanwhile.
ASKED = "tcpdump: 2 packets captured, 9 packets received by filter, 0 packets dropped by kernel\n"


def test_counts_are_those_at_the_end() -> None:
    log = f"{HEAD}{ASKED}7 packets captured\n9 packets received by filter\n2 packets dropped by kernel\n"
    assert read_counts(log) == Counts(7, 9, 2, 0)


def test_one_packet_is_a_packet() -> None:
    log = "1 packet captured\n1 packet received by filter\n0 packets dropped by kernel\n1 packet dropped by interface\n"
    assert read_counts(log) == Counts(1, 1, 0, 1)


def test_a_tcpdump_that_was_killed_has_counted_nothing() -> None:
    assert read_counts(HEAD + ASKED) is None
    assert read_counts("") is None
