"""The address field that SOCKS 5 and SOCKSv6 share: IPv4, IPv6 or a domain name (RFC 1928 section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from codec.errors import LocalProtocolError, RemoteProtocolError

LONGEST_NAME = 255


class AddressType(IntEnum):
    """The address type octet. 2 is not used."""

    IPV4 = 1
    DOMAIN_NAME = 3
    IPV6 = 4


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address in its usual text form, or a domain name.

    A name is any octets but NUL; those beyond ASCII are kept as surrogate escapes, so that a name is sent on exactly as
    it came.
    """

    type: AddressType
    host: str

    @classmethod
    def of(cls, host: str) -> Address:
        """The address that `host` spells: IPv4 or IPv6 in text form, else a domain name."""
        for family, kind in ((AF_INET, AddressType.IPV4), (AF_INET6, AddressType.IPV6)):
            try:
                return cls(kind, inet_ntop(family, inet_pton(family, host)))
            except (OSError, ValueError):
                continue
        return cls(AddressType.DOMAIN_NAME, host)

    @property
    def name_octets(self) -> bytes:
        """A domain name as it stands on the wire. `LocalProtocolError` for one that would need IDNA (RFC 5891)."""
        try:
            return self.host.encode("ascii", "surrogateescape")
        except UnicodeEncodeError:
            raise LocalProtocolError(f"the name {self.host!r} is not in its ASCII form (xn--…)") from None


# Attributes of an enum take several times as long to look up as globals do, and these are needed for every message.
_IPV4, _IPV6, _DOMAIN_NAME = AddressType.IPV4, AddressType.IPV6, AddressType.DOMAIN_NAME

ANY_IPV4 = Address(AddressType.IPV4, "0.0.0.0")


def encode_ip(address: Address) -> bytes:
    """The 4 or 16 octets of an IP address."""
    family = AF_INET if address.type is _IPV4 else AF_INET6
    try:
        return inet_pton(family, address.host)
    except (OSError, ValueError):
        raise LocalProtocolError(f"{address.host!r} is not an address of type {address.type.name}") from None


def encode_name(address: Address) -> bytes:
    """A domain name behind its length octet, unpadded."""
    name = address.name_octets
    if not 0 < len(name) <= LONGEST_NAME or 0 in name:
        raise LocalProtocolError(f"a domain name has 1 to {LONGEST_NAME} octets and no NUL, not {address.host!r}")
    return bytes((len(name),)) + name


def decode_ipv4(octets: bytes | bytearray) -> Address:
    """The address that 4 octets in network order stand for."""
    return Address(_IPV4, inet_ntop(AF_INET, octets))


def decode_ipv6(octets: bytes | bytearray) -> Address:
    """The address that 16 octets in network order stand for."""
    return Address(_IPV6, inet_ntop(AF_INET6, octets))


def decode_name(octets: bytes) -> Address:
    """A name without its length octet; trailing NULs are padding that the sender counted (SOCKSv6 draft-12)."""
    name = octets.rstrip(b"\0")
    if not name or 0 in name:
        raise RemoteProtocolError("a domain name is empty or holds a NUL")
    return Address(_DOMAIN_NAME, name.decode("ascii", "surrogateescape"))
