"""The lab's own SSH keys: one that opens the guest, and the guest's host key, known beforehand and so never guessed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Cache
from lab.errors import MpsocksError
from lab.runner import Runner

CLIENT_NAME = "client_ed25519"
HOST_NAME = "guest_host_ed25519"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An Ed25519 key pair: the file of the private key, and the public key as one line of text."""

    private: Path
    public: str


@dataclass(frozen=True, slots=True)
class LabKeys:
    """The key that the lab logs in with, and the key that the guest proves itself with."""

    client: KeyPair
    host: KeyPair

    def known_hosts(self, addresses: Iterable[str]) -> str:
        """A known_hosts file that pins the guest's key to `addresses`, without a final comment (sshd(8))."""
        kind, key = self.host.public.split()[:2]
        return f"{','.join(addresses)} {kind} {key}\n"


def lab_keys(cache: Cache, runner: Runner) -> LabKeys:
    """The keys under `keys/` of the cache, made at first use. With `--dry` missing keys have an empty public text."""
    folder = cache.root / "keys"
    with cache.locked("keys", dry=runner.dry):
        if not runner.dry:
            folder.chmod(0o700)
        return LabKeys(_pair(folder / CLIENT_NAME, runner), _pair(folder / HOST_NAME, runner))


def _pair(private: Path, runner: Runner) -> KeyPair:
    public = private.with_suffix(".pub")
    if not private.exists():
        if not runner.dry:
            # A half-written pair of an interrupted run would make ssh-keygen ask before it overwrites.
            public.unlink(missing_ok=True)
        runner.change("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"mpsocks {private.stem}", "-f", private)
        if runner.dry:
            return KeyPair(private, "")
    if not public.exists():
        raise MpsocksError(f"{public} is missing", hint=f"remove {private}; both are made anew at the next run")
    if not runner.dry:
        private.chmod(0o600)
    return KeyPair(private, public.read_text().strip())
