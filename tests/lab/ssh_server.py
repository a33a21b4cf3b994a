"""A small SSH server that lets one key in and nothing else: enough for a client that only forwards."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL


class _OneKey(paramiko.ServerInterface):
    def __init__(self, client_key: paramiko.PKey) -> None:
        self._client_key = client_key

    def check_auth_publickey(self, _username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL if key == self._client_key else AUTH_FAILED

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"


class SshServer:
    """Listens on a free port of loopback, on a socket that `make_socket` makes, until the block ends."""

    def __init__(self, make_socket: Callable[[], socket.socket]) -> None:
        self._host_key = paramiko.ECDSAKey.generate()
        self._client_key = paramiko.ECDSAKey.generate()
        self._listener = make_socket()
        self._transports: list[paramiko.Transport] = []
        self._serving = threading.Thread(target=self._serve)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def write_client_files(self, folder: Path) -> None:
        """The client's private key as `key`, and `known_hosts` with this server's."""
        self._client_key.write_private_key_file(str(folder / "key"))
        self._pin(folder, self._host_key)

    def pin_another_key(self, folder: Path) -> None:
        """Let `known_hosts` name a key that is not this server's."""
        self._pin(folder, paramiko.ECDSAKey.generate())

    def _pin(self, folder: Path, key: paramiko.PKey) -> None:
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {key.get_name()} {key.get_base64()}\n")

    def __enter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._listener.settimeout(None)
        self._serving.start()
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._serving.join()
        self._listener.close()
        for transport in self._transports:
            transport.close()
            transport.join()

    def _serve(self) -> None:
        while True:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connected)
            transport.add_server_key(self._host_key)
            self._transports.append(transport)
            transport.start_server(event=threading.Event(), server=_OneKey(self._client_key))
