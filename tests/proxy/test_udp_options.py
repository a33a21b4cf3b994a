"""Stack options of SOCKSv6's UDP associations: ports by parity, neighbours reserved, TOS and TTL told as they are."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from codec.reply import ReplyCode
from codec.socks6.option_list import Options, find_option
from codec.socks6.options import SessionId, SessionRequest
from codec.socks6.stack import Leg, NoFragmentation, Parity, PortParity, Tos, Ttl, UdpError
from proxy.udp_ports import Ports, bound_socket, parity_of
from tests.proxy.associations import Socks6Association, datagram_socket, receive_from, socks6_association, udp_request
from tests.proxy.running import ONE_WORKER, RunningProxy

IP_RECVTOS, IP_RECVTTL = 13, 12
TWO = pytest.mark.parametrize("attempt", range(4))
"""Workers: a session's requests come to either, and are handed over."""


def parity(kind: Parity, *, reserve: bool = False) -> PortParity:
    return PortParity(Leg.PROXY_REMOTE, kind, reserve)


def session_of(association: Socks6Association) -> SessionId:
    named = find_option(association.session_options, SessionId)
    assert named is not None
    return SessionId(named.id)


def answered(association: Socks6Association) -> tuple[Parity, bool]:
    answer = find_option(association.reply.options, PortParity)
    assert answer is not None
    return answer.parity, answer.reserve


@pytest.mark.parametrize("kind", [Parity.EVEN, Parity.ODD])
def test_a_port_has_the_wished_parity(proxy: RunningProxy, kind: Parity) -> None:
    for _ in range(8):
        with socks6_association(proxy.address, udp_request(options=(parity(kind),))) as association:
            assert parity_of(association.reply.port) is kind
            assert answered(association) == (kind, False)


def test_with_a_wanted_port_the_parity_is_ignored(proxy: RunningProxy) -> None:
    for kind in (Parity.EVEN, Parity.ODD):
        with datagram_socket() as free:
            wanted = free.getsockname()[1]
        with socks6_association(proxy.address, udp_request("127.0.0.1", wanted, (parity(kind),))) as association:
            assert association.reply.port == wanted
            assert answered(association) == (parity_of(wanted), False)


@TWO
@pytest.mark.parametrize("kind", [Parity.EVEN, Parity.ODD, Parity.NONE])
def test_the_neighbour_is_kept_for_the_same_session(proxy: RunningProxy, kind: Parity, attempt: int) -> None:
    options: Options = (SessionRequest(), parity(kind, reserve=True))
    with socks6_association(proxy.address, udp_request(options=options)) as first:
        port = first.reply.port
        assert answered(first) == (parity_of(port), True)
        assert kind in (Parity.NONE, parity_of(port))
        neighbour = port + 1 if parity_of(port) is Parity.EVEN else port - 1
        with pytest.raises(OSError, match="in use"):
            datagram_socket("0.0.0.0", neighbour)
        with socks6_association(proxy.address, udp_request(port=neighbour, options=(SessionRequest(),))) as stranger:
            assert stranger.reply.code is ReplyCode.GENERAL_FAILURE
        claim = udp_request(first.bound[0], neighbour, (session_of(first),))
        with socks6_association(proxy.address, claim) as second:
            assert second.bound == (first.bound[0], neighbour)
            client = second.control.getsockname()
        proxy.connection(client=f"127.0.0.1:{client[1]}")
        with datagram_socket("0.0.0.0", neighbour):
            """Once claimed it is not reserved any more."""


def test_a_reservation_ends_with_its_association(proxy: RunningProxy) -> None:
    options: Options = (SessionRequest(), parity(Parity.EVEN, reserve=True))
    with socks6_association(proxy.address, udp_request(options=options)) as association:
        neighbour = association.reply.port + 1
        client = association.control.getsockname()
    proxy.connection(client=f"127.0.0.1:{client[1]}")
    datagram_socket("0.0.0.0", neighbour).close()


def test_a_wanted_port_has_its_neighbour_reserved_too(proxy: RunningProxy) -> None:
    with bound_pair() as (even, _):
        pass
    options: Options = (SessionRequest(), parity(Parity.ODD, reserve=True))
    with socks6_association(proxy.address, udp_request("127.0.0.1", even, options)) as association:
        assert association.reply.port == even
        assert answered(association) == (Parity.EVEN, True)
        with pytest.raises(OSError, match="in use"):
            datagram_socket("127.0.0.1", even + 1)


def test_without_a_session_nothing_is_reserved_where_another_worker_might_be_asked(proxy: RunningProxy) -> None:
    request = udp_request(options=(parity(Parity.EVEN, reserve=True),))
    with socks6_association(proxy.address, request) as association:
        assert answered(association) == (Parity.EVEN, False)


def test_without_a_session_the_same_client_may_claim_a_port() -> None:
    with RunningProxy(*ONE_WORKER) as proxy:
        request = udp_request(options=(parity(Parity.EVEN, reserve=True),))
        with socks6_association(proxy.address, request) as first:
            assert answered(first) == (Parity.EVEN, True)
            with socks6_association(proxy.address, udp_request(port=first.reply.port + 1)) as second:
                assert second.reply.port == first.reply.port + 1


class bound_pair:  # noqa: N801 -- used like a function
    """An even port and the next, both free when left."""

    def __enter__(self) -> tuple[int, int]:
        while True:
            self._one = datagram_socket()
            port = self._one.getsockname()[1]
            try:
                self._other = datagram_socket(port=port ^ 1)
            except OSError:
                self._one.close()
                continue
            return port & ~1, port | 1

    def __exit__(self, *_: object) -> None:
        self._one.close()
        self._other.close()


def test_a_neighbour_that_is_taken_is_not_reserved() -> None:
    ports = Ports()
    with bound_pair() as (even, odd):
        pass
    with datagram_socket(port=odd):
        sock, reserved = ports.bind(socket.AF_INET, "127.0.0.1", even, parity(Parity.EVEN, reserve=True), "owner")
        assert reserved is None
        sock.close()


def test_a_parity_that_cannot_be_had_is_not_insisted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives even ports only, and their neighbours are taken."""
    ports = Ports()
    with bound_pair() as (even, odd), datagram_socket("127.0.0.9", odd):
        monkeypatch.setattr(
            "proxy.udp_ports.bound_socket",
            lambda family, _host, port: bound_socket(family, "127.0.0.9", port or even),
        )
        sock, reserved = ports.bind(socket.AF_INET, "127.0.0.9", 0, parity(Parity.ODD, reserve=True), "owner")
        assert reserved is None
        assert sock.getsockname()[1] == even
        sock.close()


@pytest.fixture
def marked() -> Iterator[socket.socket]:
    """A remote host that sees the TOS and TTL of what it gets."""
    with datagram_socket() as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        yield sock


def marks(sock: socket.socket) -> tuple[int, int]:
    """TOS and TTL."""
    _, ancillary, _, _ = sock.recvmsg(1 << 16, 256)
    found = {kind: int.from_bytes(data[:1], "big") for _, kind, data in ancillary}
    return found[socket.IP_TOS], found[socket.IP_TTL]


def test_tos_and_ttl_are_set_on_both_legs_and_answered(proxy: RunningProxy, marked: socket.socket) -> None:
    options: Options = (
        Tos(Leg.BOTH, 0x2F), Ttl(Leg.CLIENT_PROXY, 9), Ttl(Leg.PROXY_REMOTE, 7),
        NoFragmentation(Leg.PROXY_REMOTE, True), UdpError(Leg.PROXY_REMOTE, True),
    )  # fmt: skip
    with socks6_association(proxy.address, udp_request(options=options)) as association:
        association.socket.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
        association.socket.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        association.send_over_udp("127.0.0.1", marked.getsockname()[1], b"1")
        assert marks(marked) == (0x2F, 7)
        marked.sendto(b"2", ("127.0.0.1", association.reply.port))
        assert marks(association.socket) == (0x2F, 9)
        assert set(association.reply.options) == {
            Tos(Leg.PROXY_REMOTE, 0x2F), Tos(Leg.CLIENT_PROXY, 0x2F), Ttl(Leg.CLIENT_PROXY, 9),
            Ttl(Leg.PROXY_REMOTE, 7), NoFragmentation(Leg.PROXY_REMOTE, True), UdpError(Leg.PROXY_REMOTE, True),
        }  # fmt: skip


def test_wishes_for_the_client_leg_cost_nothing_over_tcp(proxy: RunningProxy, marked: socket.socket) -> None:
    request = udp_request(options=(Tos(Leg.CLIENT_PROXY, 0x20), UdpError(Leg.PROXY_REMOTE, False)))
    with socks6_association(proxy.address, request) as association:
        association.send_over_tcp("127.0.0.1", marked.getsockname()[1], b"1")
        assert receive_from(marked)[0] == b"1"
        assert set(association.reply.options) == {Tos(Leg.CLIENT_PROXY, 0x20), UdpError(Leg.PROXY_REMOTE, False)}
