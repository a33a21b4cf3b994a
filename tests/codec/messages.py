"""Hypothesis strategies for what the versions share, and for SOCKS 4, 5 and RFC 1929."""

from __future__ import annotations

import ipaddress

from hypothesis import strategies as st

from codec import rfc1929, socks4, socks5
from codec.address import Address, AddressType
from codec.command import COMMANDS, Command
from codec.method import METHODS, AuthenticationMethod
from codec.reply import ReplyCode

OCTET = st.integers(0, 255)
PORT = st.integers(0, 0xFFFF)
IPV4 = st.integers(0, 2**32 - 1).map(lambda n: Address(AddressType.IPV4, str(ipaddress.IPv4Address(n))))
IPV6 = st.binary(min_size=16, max_size=16).map(lambda octets: Address.of(str(ipaddress.IPv6Address(octets))))
NAME = st.lists(st.integers(1, 255), min_size=1, max_size=255).map(
    lambda octets: Address(AddressType.DOMAIN_NAME, bytes(octets).decode("ascii", "surrogateescape"))
)
ADDRESS = st.one_of(IPV4, IPV6, NAME)
COMMAND: st.SearchStrategy[Command | int] = OCTET.map(lambda octet: COMMANDS.get(octet, octet))
METHOD: st.SearchStrategy[AuthenticationMethod | int] = OCTET.map(lambda octet: METHODS.get(octet, octet))

# 0.0.0.1 to 0.0.0.255 would announce a domain name.
SOCKS4_IPV4 = IPV4.filter(lambda address: address.host == "0.0.0.0" or not address.host.startswith("0.0.0."))
SOCKS4_USER_ID = st.lists(st.integers(1, 255), max_size=255).map(bytes)
SOCKS4_REQUEST = st.builds(socks4.Request, COMMAND, st.one_of(SOCKS4_IPV4, NAME), PORT, SOCKS4_USER_ID)
SOCKS4_REPLY = st.builds(socks4.Reply, st.sampled_from(socks4.ResultCode), IPV4, PORT)
USER_PASSWORD = st.builds(rfc1929.UserPassword, st.binary(max_size=255), st.binary(max_size=255))
USER_PASSWORD_STATUS = st.builds(rfc1929.UserPasswordStatus, st.booleans())
SOCKS5_GREETING = st.builds(socks5.Greeting, st.binary(max_size=255))
SOCKS5_SELECTION = st.builds(socks5.MethodSelection, METHOD)
SOCKS5_REQUEST = st.builds(socks5.Request, COMMAND, ADDRESS, PORT)
SOCKS5_REPLY = st.builds(
    socks5.Reply, st.sampled_from(ReplyCode).filter(lambda code: code is not ReplyCode.TIMED_OUT), ADDRESS, PORT
)
SOCKS5_DATAGRAM = st.builds(socks5.Datagram, ADDRESS, PORT, st.binary(max_size=64), OCTET)
