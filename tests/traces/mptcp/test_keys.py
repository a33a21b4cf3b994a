"""Tokens, initial data sequence numbers and HMACs are those that other implementations sent and tested with."""

from __future__ import annotations

import pytest

from traces.mptcp.keys import address_hmac, initial_dsn, join_hmac, token


@pytest.mark.parametrize(
    ("version", "key", "joined_by"),
    [(0, "967d2770b6960552", 0xE47F0142), (1, "bbc1858843fa97df", 0x78C06570), (1, "f6aa490f985216b5", 0x2488CCCE)],
)
def test_tokens_are_those_that_mp_joins_and_the_kernel_named(version: int, key: str, joined_by: int) -> None:
    assert token(bytes.fromhex(key), version) == joined_by


@pytest.mark.parametrize(
    ("version", "key", "first_dsn"),
    [
        (1, "1fdb5df328bc3def", 14413541604287230030),
        (1, "29a6c86981ad933c", 11713449205243392242),
    ],
)
def test_data_begin_behind_the_initial_number(version: int, key: str, first_dsn: int) -> None:
    assert initial_dsn(bytes.fromhex(key), version) + 1 == first_dsn


def test_version_0_tells_the_low_half_of_it_on_the_wire() -> None:
    assert (initial_dsn(bytes.fromhex("9c9eabd1e46a33b2"), 0) + 1) & 0xFFFFFFFF == 3576348362


@pytest.mark.parametrize(
    ("keys", "nonces", "mac"),
    [
        ("0b0b0b0b0b0b0b0b", "48692054", "8385e24fb4235ac37556b6b886db106284a1da67"),
        ("aaaaaaaaaaaaaaaa", "dddddddd", "2c5e219164ff1dca1c4a92318d847bb6b9d44492"),
        ("0102030405060708", "cdcdcdcd", "e73b9ba9969969cefb04aa0d6df18ec2fcc075b6"),
    ],
)
def test_hmacs_of_version_1_are_those_of_linux_own_tests(keys: str, nonces: str, mac: str) -> None:
    """There keys and nonces are the characters themselves, half of them for each peer (`net/mptcp/crypto_test.c`)."""
    mine, peer = keys[:8].encode(), keys[8:].encode()
    numbers = int.from_bytes(nonces[:4].encode(), "big"), int.from_bytes(nonces[4:].encode(), "big")
    assert join_hmac((mine, peer), numbers, 1).hex() == mac


def test_the_hmacs_of_a_join_of_version_0() -> None:
    """As in a capture that comes with tcpdump."""
    client, server = bytes.fromhex("9c9eabd1e46a33b2"), bytes.fromhex("967d2770b6960552")
    nonces = 0x1B665A18, 0x33ABE9D5
    assert join_hmac((client, server), nonces, 0).hex() == "cb7b87f5e5f0502f43b535fb70ef6607df2e6c7a"
    assert join_hmac((server, client), nonces[::-1], 0).hex()[:16] == "5ab680c7884af03d"


def test_an_announced_address_is_proven_by_the_end_of_an_hmac() -> None:
    """Over the address id, the address and the port, 0 when there is none."""
    keys = b"01234567", b"89abcdef"
    address = bytes([192, 0, 2, 1])
    proofs = {address_hmac(keys, 1, address, port) for port in (0, 80)}
    assert {len(proof) for proof in proofs} == {8}
    assert len(proofs) == 2
    assert address_hmac(keys[::-1], 1, address, 80) not in proofs
