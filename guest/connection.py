"""The SSH connection into the guest: our key, and the one host key that was baked into the image."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
from fabric import Config, Connection

from lab.cache import make_folder
from lab.console import last_lines
from lab.context import Lab
from lab.errors import MpsocksError
from lab.keys import lab_keys
from lab.plan import tap_plan
from lab.runner import Runner

USER = "root"
FORWARDING_SSHD_PORT = 2222  # a second sshd, under mptcpize, for `run-socks --server ssh`
CONNECT_SECONDS = 30  # a guest under TCG takes seconds for the key exchange


# Paramiko logs the errors that it also raises; a person is told once.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class Guest:
    """A guest that can be worked on: commands through `runner`, files through `put` and `write`."""

    def __init__(self, runner: Runner, connection: Connection | None) -> None:
        self.runner = runner
        self._connection = connection

    @property
    def dry(self) -> bool:
        return self._connection is None

    def put(self, local: Path, remote: str) -> None:
        """Copy a file into the guest."""
        if self._connection is None:
            print(f"scp {local} {USER}@{guest_address()}:{remote}")
        else:
            self._connection.put(str(local), remote)

    def write(self, remote: str, text: str) -> None:
        """Write a text file in the guest."""
        self.runner.change("tee", remote, stdin=text)


def guest_address() -> str:
    """The address at which the guest is reached first: that of its interface 0."""
    return str(tap_plan(0).guest.ip)


def known_hosts_file(lab: Lab) -> Path:
    """A `known_hosts` file with the guest's key and no other, written anew; with --dry only named."""
    path = lab.state / "known_hosts"
    if not lab.host.dry:
        keys = lab_keys(lab.cache, lab.host)
        make_folder(lab.state, 0o700)
        path.write_text(keys.known_hosts((guest_address(), f"[{guest_address()}]:{FORWARDING_SSHD_PORT}")))
    return path


def ssh_options(lab: Lab) -> tuple[str, ...]:
    """Options with which OpenSSH's client reaches the guest, and nothing that answers in its place."""
    return (
        *("-F", "none"),
        *("-i", str(lab_keys(lab.cache, lab.host).client.private)),
        *("-o", "IdentitiesOnly=yes"),
        *("-o", "BatchMode=yes"),
        *("-o", "StrictHostKeyChecking=yes"),
        *("-o", f"UserKnownHostsFile={known_hosts_file(lab)}"),
    )


@contextmanager
def guest(lab: Lab) -> Iterator[Guest]:
    """The guest over SSH, for as long as the block lasts. With --dry its commands are printed like all others."""
    if lab.host.dry:
        print(f"# in the guest ({USER}@{guest_address()}):")
        yield Guest(Runner(lab.host.context), None)
        return
    with _connected(lab) as connection:
        yield Guest(Runner(connection), connection)


@contextmanager
def _connected(lab: Lab) -> Iterator[Connection]:
    keys = lab_keys(lab.cache, lab.host)
    connection = Connection(
        guest_address(),
        user=USER,
        # The user's own ~/.ssh/config is about other hosts, whatever its patterns match.
        config=Config(overrides={"load_ssh_configs": False}),
        connect_timeout=CONNECT_SECONDS,
        connect_kwargs={
            "key_filename": str(keys.client.private),
            "allow_agent": False,
            "look_for_keys": False,
            "banner_timeout": CONNECT_SECONDS,
            "auth_timeout": CONNECT_SECONDS,
        },
    )
    # Fabric accepts any host key by default; only the one in the image is the guest's.
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    entry = paramiko.hostkeys.HostKeyEntry.from_line(keys.known_hosts((guest_address(),)))
    assert entry is not None
    assert entry.key is not None
    connection.client.get_host_keys().add(guest_address(), entry.key.get_name(), entry.key)
    try:
        connection.open()
    except (OSError, paramiko.SSHException, EOFError) as error:
        raise MpsocksError(
            f"no SSH connection to the guest at {guest_address()}",
            why=f"{type(error).__name__}: {error}; the guest's console says last:\n{last_lines(lab.console)}",
            hint="start it with `invoke boot-vm` or `invoke boot-socks`; `invoke status` shows what stands",
        ) from error
    try:
        yield connection
    finally:
        connection.close()
