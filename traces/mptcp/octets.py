"""How many octets of data each connection delivered: as acknowledged, the DATA_FIN not among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from traces.mptcp.coverage import REACH
from traces.mptcp.flows import Flows
from traces.mptcp.model import Direction, Volume
from traces.mptcp.streams import Streams
from traces.mptcp.volumes import Ends


@dataclass(frozen=True, slots=True)
class Delivered:
    """For each connection."""

    volumes: list[Volume]
    doubts: list[list[str]]


WAY = {Direction.C2S: "from the client", Direction.S2C: "from the server"}
