"""A transparent relay: takes connections that nftables redirected, and makes each anew to where it was going.

Standard library only: it is copied to wherever the testbed runs. One thread for each direction of a connection.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import struct
import threading
import time

SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h
CHUNK = 1 << 16
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 60.0
PAUSE_SECONDS = 0.05


def main() -> None:
    """Relay until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    with socket.create_server(("0.0.0.0", port), backlog=1024) as listener:
        while True:
            try:
                subscriber, _ = listener.accept()
            except OSError:
                # It has ended before it was taken, or descriptors have run out, which takes a while to pass.
                time.sleep(PAUSE_SECONDS)
                continue
            threading.Thread(target=relay, args=(subscriber,), daemon=True).start()


def relay(subscriber: socket.socket) -> None:
    """Carry one connection in both directions until both have ended."""
    with subscriber, contextlib.suppress(OSError):
        subscriber.settimeout(IDLE_SECONDS)
        with socket.create_connection(_original(subscriber), CONNECT_SECONDS) as server:
            server.settimeout(IDLE_SECONDS)
            upward = threading.Thread(target=_carry, args=(subscriber, server), daemon=True)
            upward.start()
            _carry(server, subscriber)
            upward.join()


def _original(subscriber: socket.socket) -> tuple[str, int]:
    """Where the connection was going before it was redirected, from its struct sockaddr_in."""
    port, address = struct.unpack_from("!2xH4s", subscriber.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, 16))
    return socket.inet_ntoa(address), port


def _carry(source: socket.socket, sink: socket.socket) -> None:
    """One direction, and its end."""
    with contextlib.suppress(OSError):
        while octets := source.recv(CHUNK):
            sink.sendall(octets)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
