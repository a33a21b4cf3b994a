"""User name and password authentication, against the layouts of RFC 1929."""

from __future__ import annotations

import pytest

from codec import rfc1929
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError
from codec.rfc1929 import UserPassword, UserPasswordStatus

REQUESTS = {
    "01" + "05616c696365" + "06736573616d65": UserPassword(b"alice", b"sesame"),
    "01" + "02c3a9" + "0100": UserPassword("é".encode(), b"\0"),
    "01" + "00" + "00": UserPassword(b"", b""),
    "01" + "ff" + "75" * 255 + "ff" + "70" * 255: UserPassword(b"u" * 255, b"p" * 255),
}


@pytest.mark.parametrize("octets", REQUESTS)
def test_requests(octets: str) -> None:
    assert rfc1929.encode_user_password(REQUESTS[octets]) == bytes.fromhex(octets)
    assert rfc1929.decode_user_password(bytes.fromhex(octets)) == (REQUESTS[octets], len(octets) // 2)


def test_an_empty_password_is_waited_for_until_its_length_is_there() -> None:
    assert rfc1929.decode_user_password(b"\x01\x01u") is NEED_DATA
    assert rfc1929.decode_user_password(b"\x01\x01u\x00") == (UserPassword(b"u", b""), 4)


def test_a_password_never_shows() -> None:
    assert repr(UserPassword(b"alice", b"sesame")) == "UserPassword(user=b'alice')"
    with pytest.raises(LocalProtocolError) as caught:
        rfc1929.encode_user_password(UserPassword(b"alice", b"sesame" * 50))
    assert "sesame" not in str(caught.value)


def test_a_user_name_above_255_octets_cannot_be_sent() -> None:
    with pytest.raises(LocalProtocolError, match="255"):
        rfc1929.encode_user_password(UserPassword(b"u" * 256, b""))


def test_any_status_but_0_is_a_failure_and_is_sent_as_1() -> None:
    assert rfc1929.encode_status(UserPasswordStatus(success=True)) == b"\x01\x00"
    assert rfc1929.encode_status(UserPasswordStatus(success=False)) == b"\x01\x01"
    assert rfc1929.decode_status(b"\x01\x00") == (UserPasswordStatus(success=True), 2)
    assert rfc1929.decode_status(b"\x01\xff") == (UserPasswordStatus(success=False), 2)


def test_a_request_of_another_version_is_refused_with_the_failure_status() -> None:
    with pytest.raises(RemoteProtocolError, match="version 5") as caught:
        rfc1929.decode_user_password(b"\x05")
    assert caught.value.reply == b"\x01\x01"


def test_a_status_of_another_version_has_no_answer() -> None:
    with pytest.raises(RemoteProtocolError, match="version 5") as caught:
        rfc1929.decode_status(b"\x05\x00")
    assert caught.value.reply == b""
