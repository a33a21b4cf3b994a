"""The certificate that TLS listeners show, tried out before anything is opened."""

from __future__ import annotations

import ssl
from pathlib import Path

from proxy.options import StartError, Tls

_ROUNDS = 4
"""A TLS 1.3 handshake takes two."""


def load(tls: Tls) -> ssl.SSLContext:
    """What listeners need for TLS 1.3. Raises StartError.

    Made once for all workers: they share the keys of session tickets then, and a worker that is restarted shows what
    its siblings show, whatever the files hold by then.
    """
    chain = _text(tls.certificate, "tls.certificate")
    _text(tls.key, "tls.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: _no_password(tls.key))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise StartError(f"tls: {tls.key} is not the key of the certificate {tls.certificate}") from error
        if error.reason in (None, "NO_START_LINE"):
            raise StartError(f"tls: {tls.certificate} must hold a certificate, and {tls.key} its key: PEM") from error
        raise StartError(f"tls: {tls.certificate} with {tls.key} cannot serve: {error.reason}") from error
    _try(context, chain, tls.certificate)
    return context


def _text(path: Path, place: str) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError as error:
        raise StartError(f"{place}: cannot read {path}: {error.strerror}") from error


def _no_password(key: Path) -> str:
    raise StartError(f"tls.key: {key} is encrypted, and nobody is there to say its password: openssl pkey takes it off")


def _try(server_context: ssl.SSLContext, chain: str, path: Path) -> None:
    """Shake hands with ourselves, as a client that trusts this certificate: nobody would take one that fails here."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client_context.load_verify_locations(cadata=chain)
        client = client_context.wrap_bio(down, up)
        server = server_context.wrap_bio(up, down, server_side=True)
        for _ in range(_ROUNDS):
            for end in (client, server):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError as error:
        raise StartError(f"tls.certificate: {path}: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise StartError(f"tls.certificate: {path} does not do for TLS 1.3: {error.reason}") from error
