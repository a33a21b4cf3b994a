"""Certificates, and a TLS client whose two directions end separately, as `ssl.SSLSocket` cannot."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from proxy.options import Tls
from proxy.tls import RECORD_OCTETS
from tests.proxy.peers import connected_socket


def certify(
    folder: Path,
    name: str = "proxy",
    *,
    days: int = 1,
    password: bytes | None = None,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
) -> Tls:
    """A certificate that signs itself and is valid for so many days, up to so many days ago if that is negative."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    ends = now + timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, ends) - timedelta(days=1))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    made = Tls(folder / f"{name}.crt", folder / f"{name}.key")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    made.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))
    return made


class TlsClient:
    """A blocking TLS connection; trusts the one certificate, and takes no end of the stream but close_notify.

    One thread may send while another receives.
    """

    def __init__(self, sock: socket.socket, certificate: Path) -> None:
        """Shakes hands. Raises ssl.SSLError, OSError."""
        self.socket = sock
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(certificate)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing)
        self._unread = b""
        """Of the last record: nothing may be left of it within OpenSSL when close_notify is sent."""
        self._turn, self._sending = threading.Lock(), threading.Lock()
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._send()
                self._receive()
        self._send()

    def sendall(self, octets: bytes) -> None:
        for start in range(0, len(octets), 1 << 16):
            with self._turn:
                self.tls.write(octets[start : start + (1 << 16)])
            self._send()

    def recv(self, most: int) -> bytes:
        while not self._unread:
            try:
                with self._turn:
                    self._unread = self.tls.read(RECORD_OCTETS)
            except ssl.SSLWantReadError:
                self._receive()
                continue
            except ssl.SSLZeroReturnError:
                pass
            if not self._unread:
                return b""
        octets, self._unread = self._unread[:most], self._unread[most:]
        return octets

    def end(self) -> None:
        """Send close_notify: no more will come from here. It must not see what has come and is not read yet."""
        with self._turn, suppress(ssl.SSLWantReadError):
            unread = self._incoming.read()
            try:
                self.tls.unwrap()
            finally:
                self._incoming.write(unread)
        self._send()

    def getsockname(self) -> tuple[str, int]:
        address: tuple[str, int] = self.socket.getsockname()
        return address

    def _send(self) -> None:
        with self._sending:
            self.socket.sendall(self._outgoing.read())

    def _receive(self) -> None:
        octets = self.socket.recv(1 << 16)
        with self._turn:
            if octets:
                self._incoming.write(octets)
            else:
                self._incoming.write_eof()


@contextmanager
def tls_connection(address: tuple[str, int], certificate: Path) -> Iterator[TlsClient]:
    """Connect to a TLS listener; the socket is closed at the end, without close_notify."""
    with connected_socket(address) as sock:
        yield TlsClient(sock, certificate)
