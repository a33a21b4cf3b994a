"""UDP ASSOCIATE of SOCKSv6 (draft-11 "Handling UDP ASSOCIATE").

The client sends datagrams over the TCP connection, or over UDP to the port that it also reaches by TCP. The first one
decides which, for good, and is confirmed over TCP. What comes another way later is dropped; and so is, from the start,
what comes over UDP from another host than the TCP connection does: nobody can have datagrams sent to a third party.
"""

from __future__ import annotations

from select import EPOLLERR, EPOLLIN, EPOLLOUT
from socket import MSG_DONTWAIT, MSG_NOSIGNAL, SO_ERROR, SOL_SOCKET, SocketType
from struct import Struct
from typing import TYPE_CHECKING, Any

from codec.address import Address, AddressType
from codec.errors import RemoteProtocolError
from codec.reply import ReplyCode
from codec.socks6 import udp
from codec.socks6.address_field import address_end, decode_address, encode_address
from codec.socks6.stack import Leg, PortParity, StackOption, UdpError
from proxy.association import Association
from proxy.datagrams import HEADROOM, buffer, view
from proxy.local_address import ANY_HOST, family_of, told_host
from proxy.outcome import reply_code
from proxy.relay import READABLE
from proxy.resolver import candidate
from proxy.stack import LegWishes, Wishes, answers, apply
from proxy.udp_entrance import OwnSocket
from proxy.udp_errors import Fault
from proxy.udp_ports import Reservation, datagram_socket, parity_of

if TYPE_CHECKING:
    from proxy.handshake import Handshake
    from proxy.session import Session

_HEADER = Struct(">BBH8s")
"""Version, type, length of the whole, association ID."""
_ENDPOINT = Struct(">BBH")
"""Address type, padding, port; the address follows."""
_ADDRESS_AT = _HEADER.size + _ENDPOINT.size
_SEND = MSG_DONTWAIT | MSG_NOSIGNAL
_NOT_SAID = LegWishes()


class Socks6Association(Association):
    """One client's."""

    __slots__ = (
        "_entrance", "_needed", "_over_tcp", "_own", "_partial", "_pending", "_reservation", "_unbound", "_version",
        "id",
    )  # fmt: skip

    def __init__(self, session: Session, version: int) -> None:
        """`version` is the octet that this client's SOCKSv6 has."""
        super().__init__(session)
        self._entrance = session.worker.entrance
        self.id = self._entrance.add(self)
        self._version = version
        self._over_tcp = False
        """Neither this nor `_own`: the first datagram has not come yet."""
        self._own: OwnSocket | None = None
        """Where the client sends to over UDP."""
        self._unbound: SocketType | None = None
        """To become that, made early where the client has wishes for it, so that they can be answered."""
        self._partial = bytearray()
        """The start of a message over TCP."""
        self._needed = 0
        """Octets that it takes to go on with it."""
        self._pending = b""
        """The end of a message that the TCP connection did not take yet: nothing can be sent before."""
        self._reservation: Reservation | None = None

    def begin(self, front: Handshake, wishes: Wishes) -> None:
        """Open the socket towards remote hosts, and tell where it is and how the association is called."""
        session, worker = self.session, self.session.worker
        assert session.destination is not None
        session.serve(self)
        if session.destination.type is AddressType.DOMAIN_NAME:
            session.refuse(ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED)
            return
        family, host = candidate(session.destination.host)
        alone = worker.channel.is_alone
        self.remote.set_up(
            wishes.remote, report=wishes.udp_error is True, host="" if host in ANY_HOST.values() else host
        )
        owner = session.socks6_session or ((session.peer[0], session.user) if alone else None)
        try:
            sock, self._reservation = worker.ports.bind(family, host, session.port, wishes.parity, owner)
            self.remote.adopt(sock)
            told = (*self._answers(sock, wishes), *self._answers_of_client_leg(wishes.client))
        except OSError as error:
            session.refuse(reply_code(error.errno or 0))
            return
        early = front.early_data()
        port = sock.getsockname()[1]
        init = udp.encode_udp(udp.AssociationInit(self.id), self._version)
        worker.counters.replied(ReplyCode.SUCCEEDED)
        if not front.granted(Address.of(told_host(session, host)), port, told, behind=init):
            session.end("client reset")
        elif self._received(early):
            self.ready(session.client_events | EPOLLIN)

    def ready(self, mask: int) -> None:
        session, client = self.session, self.session.client
        if mask & EPOLLERR and (error := client.getsockopt(SOL_SOCKET, SO_ERROR)):
            session.broken(client, error)
            return
        if mask & EPOLLOUT and self.remote.paused:
            self._flush()
        if mask & READABLE:
            self.read_connection(self._received)

    @property
    def patience(self) -> float:
        timeouts = self.session.worker.options.timeouts
        # The draft: who does not send a first datagram should be closed.
        return timeouts.idle if self._over_tcp or self._own is not None else timeouts.bind

    def arrived(self, data: bytes | bytearray, count: int, source: tuple[Any, ...], local: tuple[Any, ...]) -> None:
        """A UDP packet of `count` octets that names this association has come from `source` to our address `local`."""
        if source[0] != self.session.peer[0] or self._over_tcp:
            return
        version, kind, length, _ = _HEADER.unpack_from(data)
        # What follows the length is padding; a length beyond the packet is to be ignored.
        if version != self._version or kind != udp.MessageType.DATAGRAM or length > count:
            return
        end = _endpoint_end(data, 0, length)
        if not end or not self._comes_the_right_way(source, local):
            return
        self.remote.send(bytes(data[_HEADER.size : end]), memoryview(data)[end:length])

    def header(self, host: str, port: int) -> bytes:
        address = Address.of(host)
        return _ENDPOINT.pack(address.type, 0, port) + encode_address(address)

    def destination(self, endpoint: bytes) -> tuple[Address, int]:
        kind, _, port = _ENDPOINT.unpack_from(endpoint)
        return decode_address(kind, endpoint, _ENDPOINT.size), port

    def deliver(self, header: bytes, count: int) -> None:
        start = HEADROOM - len(header) - _HEADER.size
        length = HEADROOM + count - start
        if length > udp.LARGEST_MESSAGE:
            return
        _HEADER.pack_into(buffer, start, self._version, udp.MessageType.DATAGRAM, length, self.id)
        buffer[HEADROOM - len(header) : HEADROOM] = header
        if self._send(view[start : HEADROOM + count]):
            self.down += count
            self.datagrams += 1

    def report(self, fault: Fault) -> None:
        host, reporter = Address.of(fault.host), Address.of(fault.reporter)
        error = udp.DatagramError(self.id, host, fault.port, fault.code, reporter)
        self._send(udp.encode_udp(error, self._version))

    def cancel(self) -> None:
        super().cancel()
        self._entrance.remove(self.id)
        if self._reservation is not None:
            self._reservation.release()
        bury = self.session.worker.loop.bury
        if self._own is not None:
            bury(self._own.socket)
        if self._unbound is not None:
            bury(self._unbound)
            self._unbound = None

    def _answers(self, sock: SocketType, wishes: Wishes) -> tuple[StackOption, ...]:
        told = list(answers(sock, wishes.remote, Leg.PROXY_REMOTE))
        if wishes.udp_error is not None:
            told.append(UdpError(Leg.PROXY_REMOTE, wishes.udp_error))
        if wishes.parity is not None:
            parity = parity_of(sock.getsockname()[1])
            told.append(PortParity(Leg.PROXY_REMOTE, parity, self._reservation is not None))
        return tuple(told)

    def _answers_of_client_leg(self, wishes: LegWishes) -> tuple[StackOption, ...]:
        if wishes == _NOT_SAID:
            return ()
        sock = self._unbound = datagram_socket(family_of(self.session.peer[0]))
        apply(sock, wishes)
        return answers(sock, wishes, Leg.CLIENT_PROXY)

    def _comes_the_right_way(self, source: tuple[Any, ...], local: tuple[Any, ...]) -> bool:
        own = self._own
        if own is not None:
            return source == own.peer and local == own.local
        unbound, self._unbound = self._unbound, None
        self._own = self._entrance.open_own(self, source, local, unbound)
        if self._own is None:
            return False  # no descriptor, most likely: unconfirmed, the client will send it again
        self._confirm()
        return True

    def _confirm(self) -> None:
        confirmation = udp.encode_udp(udp.AssociationConfirmation(self.id), self._version)
        if not self._send_over_tcp(confirmation):
            self._pending += confirmation  # nothing goes to the client before it

    def _received(self, data: bytes) -> bool:
        """Take octets of the TCP connection; False when they ended the session."""
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                return True
            data = bytes(self._partial)
            self._partial = bytearray()
        start, end, self._needed = 0, len(data), _HEADER.size
        while end - start >= _HEADER.size:
            version, kind, length, named = _HEADER.unpack_from(data, start)
            if version != self._version or kind != udp.MessageType.DATAGRAM or length < _ADDRESS_AT:
                self.session.end(f"malformed: a UDP message of version {version}, type {kind} and {length} octets")
                return False
            if end - start < length:
                self._needed = length
                break
            if named == self.id:
                self._relay_from_tcp(data, start, start + length)
            start += length
        self._partial += memoryview(data)[start:]
        return not self.session.is_over

    def _relay_from_tcp(self, data: bytes, start: int, end: int) -> None:
        endpoint_end = _endpoint_end(data, start, end)
        if not endpoint_end or self._own is not None:
            return
        if not self._over_tcp:
            self._over_tcp = True
            self._confirm()
        self.remote.send(data[start + _HEADER.size : endpoint_end], memoryview(data)[endpoint_end:end])

    def _send(self, message: memoryview | bytes) -> bool:
        """To the client, as it is to be sent to; whether it was sent."""
        if self._own is not None:
            return self._own.send(message)
        return self._over_tcp and not self._pending and self._send_over_tcp(message)

    def _send_over_tcp(self, message: memoryview | bytes) -> bool:
        """Send all of it, keeping what is not taken at once; or nothing, when nothing is."""
        client = self.session.client
        try:
            sent = client.send(message, _SEND)
        except BlockingIOError:
            self.remote.pause()
            return False
        except OSError as error:
            self.session.broken(client, error.errno)
            return False
        if sent < len(message):
            self._pending = bytes(message[sent:])
            self.remote.pause()
        return True

    def _flush(self) -> None:
        """The TCP connection takes octets again."""
        pending, self._pending = self._pending, b""
        if pending and not self._send_over_tcp(pending):
            self._pending = pending
        if not self._pending:
            self.remote.resume()


def _endpoint_end(data: bytes | bytearray, start: int, end: int) -> int:
    """Where the address ends in the message that stands between `start` and `end`; 0 if it does not."""
    address = start + _ADDRESS_AT
    if address >= end:
        return 0
    try:
        endpoint_end = address_end(data[start + _HEADER.size], data, address)
    except RemoteProtocolError:
        return 0
    return endpoint_end if endpoint_end <= end else 0
