"""The address field of draft-11: 4 or 16 octets, or a name behind its length octet, padded to a multiple of 4.

Whether the length octet counts the padding is open: draft-11 reads as if not, the unpublished draft-12 says so. Not
counted is what is sent, as its peers accept that; both are understood.
"""

from __future__ import annotations

from codec.address import Address, AddressType, decode_ipv4, decode_ipv6, decode_name, encode_ip, encode_name
from codec.errors import RemoteProtocolError

# Plain numbers: comparing with the members of an enum takes several times as long.
_IPV4, _DOMAIN_NAME, _IPV6 = AddressType.IPV4.value, AddressType.DOMAIN_NAME.value, AddressType.IPV6.value


def encode_address(address: Address) -> bytes:
    """The field for an address. `LocalProtocolError` for one that is not what its type says."""
    if address.type != _DOMAIN_NAME:
        return encode_ip(address)
    name = encode_name(address)
    return name + bytes(-len(name) % 4)


def address_end(kind: int, data: bytes | bytearray, start: int) -> int:
    """Where the address field that starts at `start` ends, or 0 when it takes another octet to tell."""
    if kind == _IPV4:
        return start + 4
    if kind == _IPV6:
        return start + 16
    if kind == _DOMAIN_NAME:
        # Right for both spellings: a length octet that counts the padding makes a multiple of 4 by itself.
        return start + (1 + data[start] + 3) // 4 * 4 if len(data) > start else 0
    raise RemoteProtocolError(f"unknown address type {kind}")


def decode_address(kind: int, data: bytes | bytearray, start: int) -> Address:
    """The address in the field at `start`, which is whole."""
    if kind == _IPV4:
        return decode_ipv4(data[start : start + 4])
    if kind == _IPV6:
        return decode_ipv6(data[start : start + 16])
    return decode_name(bytes(data[start + 1 : start + 1 + data[start]]))
