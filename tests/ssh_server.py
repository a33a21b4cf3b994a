"""A small SSH server that lets one key in, for clients that forward, or that have something echoed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

LOOPBACK = "127.0.0.1"
ECHO_STATUS = 42
"""The exit code of every command: one that a client would not make up."""


class _OneKey(paramiko.ServerInterface):
    """Whatever command is executed sends its input back, says how it was called on standard error, and ends."""

    def __init__(self, client_key: paramiko.PKey) -> None:
        self._client_key = client_key

    def check_auth_publickey(self, _username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL if key == self._client_key else AUTH_FAILED

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, _number: int) -> int:
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_echo, args=(channel, command)).start()
        return True


def _echo(channel: paramiko.Channel, command: bytes) -> None:
    try:
        while octets := channel.recv(1 << 16):
            channel.sendall(octets)
        channel.sendall_stderr(command)
        channel.send_exit_status(ECHO_STATUS)
    except OSError:
        return  # the client went away, as its test will tell
    finally:
        channel.close()


class SshServer:
    """Listens on a free port of `host`, on a socket that `make_socket` makes, until the block ends."""

    def __init__(self, make_socket: Callable[[], socket.socket], host: str = LOOPBACK) -> None:
        self._host_key = paramiko.ECDSAKey.generate()
        self._client_key = paramiko.ECDSAKey.generate()
        self._host = host
        self._listener = make_socket()
        self._transports: list[paramiko.Transport] = []
        self._stopping = threading.Event()
        self._serving = threading.Thread(target=self._serve)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def write_client_files(self, folder: Path, name: str = LOOPBACK) -> None:
        """The client's private key as `key`, and `known_hosts` with the key of this server, which it calls `name`."""
        self._client_key.write_private_key_file(str(folder / "key"))
        self._pin(folder, name, self._host_key)

    def pin_another_key(self, folder: Path) -> None:
        """Let `known_hosts` name a key that is not this server's."""
        self._pin(folder, LOOPBACK, paramiko.ECDSAKey.generate())

    def _pin(self, folder: Path, name: str, key: paramiko.PKey) -> None:
        (folder / "known_hosts").write_text(f"[{name}]:{self.port} {key.get_name()} {key.get_base64()}\n")

    def __enter__(self) -> Self:
        self._listener.bind((self._host, 0))
        self._listener.listen()
        # Shutting the socket down would not wake one that waits on it for MPTCP.
        self._listener.settimeout(0.05)
        self._serving.start()
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stopping.set()
        self._serving.join()
        self._listener.close()
        for transport in self._transports:
            transport.close()
            transport.join()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                connected, _ = self._listener.accept()
            except TimeoutError:
                continue
            transport = paramiko.Transport(connected)
            transport.add_server_key(self._host_key)
            self._transports.append(transport)
            transport.start_server(event=threading.Event(), server=_OneKey(self._client_key))
