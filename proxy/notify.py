"""Telling the service manager how we are (sd_notify(3)), when there is one."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send e.g. `READY=1` to the socket that `NOTIFY_SOCKET` names."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(state.encode(), address)
        except OSError:
            return  # the manager went away: nothing that serving clients depends on
