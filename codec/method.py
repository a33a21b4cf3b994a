"""The authentication methods that SOCKS 5 and SOCKSv6 share."""

from __future__ import annotations

from enum import IntEnum


class AuthenticationMethod(IntEnum):
    """The method octet (RFC 1928 section 3, and IANA's registry of SOCKS methods). 4 is not assigned."""

    NONE = 0
    GSSAPI = 1
    USER_PASSWORD = 2
    CHAP = 3
    CRAM = 5
    SSL = 6
    NDS = 7
    MAF = 8
    JSON = 9
    NONE_ACCEPTABLE = 0xFF


METHODS: dict[int, AuthenticationMethod] = {method.value: method for method in AuthenticationMethod}
"""By octet. An unknown one stays a plain int, and is no method that this program can do."""
