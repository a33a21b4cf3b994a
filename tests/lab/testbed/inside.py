"""Sockets that live in another network namespace, and what can be learned with them."""

from __future__ import annotations

import ctypes
import http.client
import json
import select
import socket
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLONE_NEWNET = 0x40000000
SO_BINDTODEVICE = 25
IP_RECVERR, MSG_ERRQUEUE = 11, 0x2000
ETH_P_IP = 0x0800
ICMP_ERRORS = {(3, 0): "net-unreachable", (3, 3): "port-unreachable", (11, 0): "time-exceeded"}
PATIENCE = 5.0
UNUSED_PORT = 33434


def open_socket(namespace: str, family: int, kind: int, proto: int = 0) -> socket.socket:
    """A socket of that namespace. A socket stays where it was made, so only a thread that ends at once moves there."""
    made: list[socket.socket] = []

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/run/netns", namespace).open("rb") as file:
            if libc.setns(file.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {namespace}")
        made.append(socket.socket(family, kind, proto))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    made[0].settimeout(PATIENCE)
    return made[0]


def connect(namespace: str, address: object, *, uplink: str = "", mptcp: bool = False) -> socket.socket:
    """A connection to port 80 from that namespace, through that device or the one that routing chooses."""
    stream = open_socket(namespace, socket.AF_INET, socket.SOCK_STREAM, 262 if mptcp else 0)
    try:
        if uplink:
            stream.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, uplink.encode())
        stream.connect((str(address), 80))
    except BaseException:
        stream.close()
        raise
    return stream


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def data(self) -> Any:
        return json.loads(self.body)


def fetch(stream: socket.socket, path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask for `path` on an open connection, which stays open for the next."""
    client = http.client.HTTPConnection("server.test")
    client.sock = stream
    client.request(method, path, headers=headers)
    with client.getresponse() as response:
        return Answer(response.status, response.headers, response.read())


def syn_ack_ttl(namespace: str, device: str, server: object, *, mptcp: bool = False) -> int:
    """The TTL with which the server's SYN-ACK arrives at the device, read off the wire."""
    with open_socket(namespace, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP)) as wire:
        wire.bind((device, ETH_P_IP))
        connect(namespace, server, uplink=device, mptcp=mptcp).close()
        while True:
            packet, sender = wire.recvfrom(2048)
            flags = packet[(packet[0] & 15) * 4 + 13]
            if sender[2] == socket.PACKET_HOST and packet[9] == socket.IPPROTO_TCP and flags & 0x12 == 0x12:
                assert socket.inet_ntoa(packet[12:16]) == str(server)
                return packet[8]


def hop(namespace: str, device: str, server: object, ttl: int, patience: float = 1.0) -> tuple[str, str] | None:
    """How a UDP datagram of that TTL is answered (an ICMP error's name) and by which address; None without answer."""
    with open_socket(namespace, socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode())
        probe.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        probe.sendto(b"?", (str(server), UNUSED_PORT))
        waiting = select.poll()
        waiting.register(probe, select.POLLERR)
        if not waiting.poll(patience * 1000):
            return None
        _, [(_, _, error)], _, _ = probe.recvmsg(64, 256, MSG_ERRQUEUE)
    # struct sock_extended_err, then the sockaddr_in of the one who sent the ICMP message
    icmp_type, icmp_code = struct.unpack_from("5xBB", error)
    return ICMP_ERRORS[icmp_type, icmp_code], socket.inet_ntoa(error[20:24])


def processes(namespace: str) -> set[int]:
    """The processes of that namespace, told by the namespace's inode rather than by `ip`."""
    wanted = Path("/run/netns", namespace).stat().st_ino
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inode = (folder / "ns/net").stat().st_ino
        except OSError:
            continue
        if inode == wanted:
            found.add(int(folder.name))
    return found


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def set_names() -> set[str]:
    """The named namespaces of this host."""
    folder = Path("/run/netns")
    return {entry.name for entry in folder.iterdir()} if folder.exists() else set()
