"""What a client asks for."""

from __future__ import annotations

from enum import IntEnum


class Command(IntEnum):
    """The command octet of SOCKS 5 and SOCKSv6. `NOOP` is SOCKSv6 only."""

    NOOP = 0
    CONNECT = 1
    BIND = 2
    UDP_ASSOCIATE = 3


COMMANDS: dict[int, Command] = {command.value: command for command in Command}
"""By octet. An unknown one stays a plain int: the request decodes, and the server answers that it is not supported."""
