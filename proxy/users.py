"""The users file: a line for each user, `name:scrypt:N:r:p:salt:hash`, salt and hash in hexadecimal (RFC 7914).

A line that begins with # says nothing. A name is UTF-8; on the wire it is the same octets (RFC 1929).
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from dataclasses import dataclass, field
from hmac import compare_digest
from pathlib import Path
from typing import Self

from proxy.options import StartError

LONGEST_FIELD = 255
"""Octets of a name, and of a password (RFC 1929)."""
MOST_WORK = 1 << 20
"""The largest N * r * p that is taken: each check of it takes 128 MiB or some 0.4 s. The default is an eighth."""
_OPEN_TO_OTHERS = 0o027
_SALT_OCTETS = 16
_OCTET = "(?:[0-9a-fA-F]{2})"
_SHAPE = re.compile(f"scrypt:([0-9]{{1,7}}):([0-9]{{1,4}}):([0-9]{{1,4}}):({_OCTET}{{8,64}}):({_OCTET}{{16,64}})")


@dataclass(frozen=True, slots=True)
class Hash:
    """What is kept of a password."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    n: int = 1 << 14
    r: int = 8
    p: int = 1

    @classmethod
    def of(cls, password: bytes) -> Self:
        """With a fresh salt. Takes 50 ms."""
        salt = os.urandom(_SALT_OCTETS)
        return cls(salt, cls(salt, bytes(32))._scrypt(password))

    @classmethod
    def parse(cls, text: str) -> Self:
        """What stands behind the name. Raises ValueError, which does not show what it is about."""
        shape = _SHAPE.fullmatch(text.rstrip())
        if shape is None:
            raise ValueError("right is name:scrypt:N:r:p:salt:hash, as `mpsocks user add` writes it")
        n, r, p = map(int, shape.groups()[:3])
        if n < 1 << 10 or n & (n - 1) or not r or not p or n * r * p > MOST_WORK:
            raise ValueError(f"N is a power of 2 from 1024, r and p at least 1, and N * r * p at most {MOST_WORK}")
        salt, digest = map(bytes.fromhex, shape.groups()[3:])
        return cls(salt, digest, n, r, p)

    def __str__(self) -> str:
        return f"scrypt:{self.n}:{self.r}:{self.p}:{self.salt.hex()}:{self.digest.hex()}"

    def matches(self, password: bytes) -> bool:
        """Compares in constant time, after the time that scrypt takes (50 ms by default)."""
        return compare_digest(self._scrypt(password), self.digest)

    def _scrypt(self, password: bytes) -> bytes:
        # OpenSSL's own limit is 32 MiB; it counts a little more than the blocks.
        memory = 128 * self.r * (self.n + self.p + 32)
        return hashlib.scrypt(
            password, salt=self.salt, n=self.n, r=self.r, p=self.p, maxmem=memory, dklen=len(self.digest)
        )


class Users:
    """Who may log in. Does not change: a file that is read again makes another."""

    def __init__(self, hashes: dict[bytes, Hash]) -> None:
        self._hashes = hashes
        self._stand_ins = tuple(hashes.values()) or (Hash(bytes(_SALT_OCTETS), bytes(32)),)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises StartError."""
        return cls(parse(read(path), path))

    def check(self, name: bytes, password: bytes) -> bool:
        """Takes 50 ms, and as long for a name that there is not: time must not tell which there are."""
        found = self._hashes.get(name)
        # Costs may differ within a file, so a name always meets the same stand-in. The hash is keyed by Python.
        against = found or self._stand_ins[hash(name) % len(self._stand_ins)]
        return against.matches(password) and found is not None


def check_name(name: str) -> None:
    """Raises ValueError for a name that the file cannot hold, or nobody could type."""
    if not name.isprintable() or name != name.strip() or name.startswith("#") or ":" in name:
        raise ValueError(f"a name has no colon or control character, no # before it and no blank around it: {name!r}")
    if not 0 < len(name.encode()) <= LONGEST_FIELD:
        raise ValueError(f"a name has 1 to {LONGEST_FIELD} octets of UTF-8")


def read(path: Path) -> str:
    """The text of a file that nobody else can read or change. Raises StartError."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            octets = file.read()
    except OSError as error:
        raise StartError(f"cannot read {path}: {error.strerror}") from error
    if mode & _OPEN_TO_OTHERS:
        mend = f"chmod g-w,o-rwx {shlex.quote(str(path))}"
        raise StartError(f"{path} holds passwords' hashes, and others may read or change it; mend it: {mend}")
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise StartError(f"{path}, line {line}: names are written in UTF-8") from error


def parse(text: str, path: Path) -> dict[bytes, Hash]:
    """The users in a text, by name. Raises StartError with the first line that is wrong; `path` is for that."""
    hashes: dict[bytes, Hash] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        try:
            check_name(name)
            if name.encode() in hashes:
                raise ValueError(f"{name} is there already; remove one of the two lines")
            hashes[name.encode()] = Hash.parse(rest)
        except ValueError as error:
            raise StartError(f"{path}, line {number}: {error}") from None
    return hashes
