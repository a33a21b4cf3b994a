"""What MPTCP computes from keys: tokens, initial data sequence numbers and HMACs.

Version 0 hashes with SHA-1 (RFC 6824 section 3), version 1 with SHA-256 (RFC 8684 section 3).
"""

from __future__ import annotations

import hashlib
import hmac
import struct

HASHES = {0: "sha1", 1: "sha256"}
"""By MPTCP version; what is not in it nobody can compute."""


def token(key: bytes, version: int) -> int:
    """The most significant 32 bits of the key's hash (section 3.2 of both)."""
    return int.from_bytes(hashlib.new(HASHES[version], key).digest()[:4], "big")


def initial_dsn(key: bytes, version: int) -> int:
    """The least significant 64 bits of the key's hash; the first octet of data has the next number (section 3.1)."""
    return int.from_bytes(hashlib.new(HASHES[version], key).digest()[-8:], "big")


def join_hmac(keys: tuple[bytes, bytes], nonces: tuple[int, int], version: int) -> bytes:
    """The HMAC in an MP_JOIN, 20 octets (section 3.2); a SYN-ACK carries the first 8 of them.

    Keys and nonces are those of who computes it, then those of the peer.
    """
    message = struct.pack("!II", *nonces)
    return hmac.digest(b"".join(keys), message, HASHES[version])[:20]


def address_hmac(keys: tuple[bytes, bytes], address_id: int, address: bytes, port: int) -> bytes:
    """The HMAC in an ADD_ADDR of version 1, the last 8 octets of it (RFC 8684 section 3.4.1).

    Keys are those of who announces the address, then those of the peer; `port` is 0 when the option names none.
    """
    message = struct.pack("!B", address_id) + address + struct.pack("!H", port)
    return hmac.digest(b"".join(keys), message, HASHES[1])[-8:]
