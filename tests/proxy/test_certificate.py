"""The files of the TLS listener, and what is told when they do not serve."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from proxy import certificate
from proxy.options import StartError, Tls
from tests.proxy.tls_client import certify

WEAK = rsa.generate_private_key(65537, 1024)


def test_only_tls_1_3_is_spoken(tmp_path: Path) -> None:
    context = certificate.load(certify(tmp_path))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda tls: tls.certificate.unlink(), "tls.certificate: cannot read .*: No such file"),
        (lambda tls: tls.key.unlink(), "tls.key: cannot read .*: No such file"),
        (lambda tls: tls.certificate.write_text("certificate"), "must hold a certificate"),
        (lambda tls: tls.key.write_text("key"), "must hold a certificate, and .* its key: PEM"),
        (lambda tls: certify(tls.key.parent, "other").key.rename(tls.key), "is not the key of the certificate"),
        (lambda tls: certify(tls.key.parent, days=-1), "certificate has expired"),
        (lambda tls: certify(tls.key.parent, password=b"secret"), "is encrypted"),
        (
            lambda tls: certify(tls.key.parent, key=rsa.generate_private_key(65537, 1024)),
            "cannot serve: EE_KEY_TOO_SMALL",
        ),
    ],
    ids=["no-certificate", "no-key", "not-pem", "key-not-pem", "mismatch", "expired", "encrypted", "weak"],
)
def test_files_that_cannot_serve_are_told(tmp_path: Path, spoil: Callable[[Tls], object], complaint: str) -> None:
    tls = certify(tmp_path)
    certificate.load(tls)
    spoil(tls)
    with pytest.raises(StartError, match=complaint):
        certificate.load(tls)
