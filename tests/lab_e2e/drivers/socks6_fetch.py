"""Fetches a page through a SOCKSv6 proxy, false-started, and prints what came: …socks6_fetch PROXY HOST."""

from __future__ import annotations

import json
import socket
import sys

from codec.address import Address
from codec.client import Socks6Client
from codec.command import Command
from codec.errors import NEED_DATA
from codec.socks6 import messages as socks6
from codec.socks6.option_list import find_option
from codec.socks6.stack import Leg, Multipath

PATIENCE = 60.0


def main(proxy: str, host: str) -> None:
    """Ask for Multipath toward `host`, and send the HTTP request right behind the SOCKS request."""
    wish = Multipath(Leg.PROXY_REMOTE, wanted=True)
    client = Socks6Client(socks6.Request(Command.CONNECT, Address.of(host), 80, (wish,)))
    page = f"GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/8\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection((proxy, 6666), PATIENCE) as connection:
        connection.sendall(client.open() + page)
        while (reply := client.receive_reply(connection.recv(1 << 16))) is NEED_DATA:
            pass
        body = client.leftover()
        while more := connection.recv(1 << 16):
            body += more
    assert isinstance(reply, socks6.OperationReply)
    answer = find_option(reply.options, Multipath)
    print(json.dumps({"code": reply.code.name, "multipath": answer.wanted if answer else None, "body": body.decode()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
