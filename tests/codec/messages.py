"""Hypothesis strategies for every message of the codec."""

from __future__ import annotations

import ipaddress

from hypothesis import strategies as st

from codec import rfc1929, socks4, socks5
from codec.address import Address, AddressType
from codec.command import COMMANDS, Command
from codec.reply import ReplyCode
from codec.socks6 import messages as socks6
from codec.socks6 import stack
from codec.socks6.option import Option, RawOption

OCTET = st.integers(0, 255)
PORT = st.integers(0, 0xFFFF)
IPV4 = st.integers(0, 2**32 - 1).map(lambda n: Address(AddressType.IPV4, str(ipaddress.IPv4Address(n))))
IPV6 = st.binary(min_size=16, max_size=16).map(lambda octets: Address.of(str(ipaddress.IPv6Address(octets))))
NAME = st.lists(st.integers(1, 255), min_size=1, max_size=255).map(
    lambda octets: Address(AddressType.DOMAIN_NAME, bytes(octets).decode("ascii", "surrogateescape"))
)
ADDRESS = st.one_of(IPV4, IPV6, NAME)
COMMAND: st.SearchStrategy[Command | int] = OCTET.map(lambda octet: COMMANDS.get(octet, octet))

REMOTE = st.just(stack.Leg.PROXY_REMOTE)
LEG = st.sampled_from(stack.Leg)
STACK_OPTION: st.SearchStrategy[Option] = st.one_of(
    st.builds(stack.Tos, LEG, OCTET),
    st.builds(stack.Ttl, LEG, OCTET),
    st.builds(stack.NoFragmentation, LEG, st.booleans()),
    st.builds(stack.HappyEyeballs, REMOTE, st.booleans()),
    st.builds(stack.TcpFastOpen, REMOTE, PORT),
    st.builds(stack.Multipath, REMOTE, st.booleans()),
    st.builds(stack.ListenBacklog, REMOTE, PORT),
    st.builds(stack.UdpError, REMOTE, st.booleans()),
    st.builds(stack.PortParity, REMOTE, st.sampled_from(stack.Parity), st.booleans()),
)
RAW_OPTION: st.SearchStrategy[Option] = st.builds(
    RawOption,
    st.integers(2, 0xFFFF),
    st.lists(st.binary(min_size=4, max_size=4), max_size=8).map(b"".join),
)
OPTIONS = st.lists(st.one_of(STACK_OPTION, RAW_OPTION), max_size=6, unique_by=type).map(tuple)

# 0.0.0.1 to 0.0.0.255 would announce a domain name.
SOCKS4_IPV4 = IPV4.filter(lambda address: address.host == "0.0.0.0" or not address.host.startswith("0.0.0."))
SOCKS4_USER_ID = st.lists(st.integers(1, 255), max_size=255).map(bytes)
SOCKS4_REQUEST = st.builds(socks4.Request, COMMAND, st.one_of(SOCKS4_IPV4, NAME), PORT, SOCKS4_USER_ID)
SOCKS4_REPLY = st.builds(socks4.Reply, st.sampled_from(socks4.ResultCode), IPV4, PORT)
USER_PASSWORD = st.builds(rfc1929.UserPassword, st.binary(max_size=255), st.binary(max_size=255))
USER_PASSWORD_STATUS = st.builds(rfc1929.UserPasswordStatus, st.booleans())
SOCKS5_GREETING = st.builds(socks5.Greeting, st.binary(max_size=255))
SOCKS5_SELECTION = st.builds(socks5.MethodSelection, OCTET)
SOCKS5_REQUEST = st.builds(socks5.Request, COMMAND, ADDRESS, PORT)
SOCKS5_REPLY = st.builds(
    socks5.Reply, st.sampled_from(ReplyCode).filter(lambda code: code is not ReplyCode.TIMED_OUT), ADDRESS, PORT
)
SOCKS5_DATAGRAM = st.builds(socks5.Datagram, ADDRESS, PORT, st.binary(max_size=64), OCTET)
SOCKS6_REQUEST = st.builds(socks6.Request, COMMAND, ADDRESS, PORT, OPTIONS)
AUTHENTICATION_REPLY = st.builds(socks6.AuthenticationReply, st.sampled_from(socks6.AuthenticationType), OPTIONS)
OPERATION_REPLY = st.builds(socks6.OperationReply, st.sampled_from(ReplyCode), ADDRESS, PORT, OPTIONS)
