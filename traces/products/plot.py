"""What a product is before it is drawn or written: a plot with titled axes, and series of points, lines or segments."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.model import Direction

Int64: TypeAlias = NDArray[np.int64]
Values: TypeAlias = NDArray[np.int64] | NDArray[np.float64]

NANOSECONDS = 1_000_000_000


class Product(StrEnum):
    """What can be plotted, by the names that `--plot` takes."""

    SEQUENCE = "seq"
    ACK_SIZE = "acksize"
    FLIGHT = "flight"
    SUBFLOW_FLIGHT = "subflow-flight"
    RIGHT_EDGE = "right-edge"
    GOODPUT = "goodput"
    RTT = "rtt"
    DATA_RTT = "data-rtt"
    DATA_RTT_SENT = "data-rtt-sent"
    DATA_RTT_SEQUENCE = "data-rtt-seq"
    EVENTS = "events"


class Shape(StrEnum):
    """How the values of a series are drawn."""

    POINTS = "points"
    LINE = "line"
    STEPS = "steps"
    """A line that keeps each value until the next."""
    SEGMENTS = "segments"
    """Vertical, each from its value up to its top."""


class Role(StrEnum):
    """What a series tells; how it is marked and coloured follows from that."""

    DATA = "data"
    RETRANSMITTED = "retransmitted"
    REINJECTED = "reinjected"
    REINJECTED_SAME = "reinjected on the same subflow"
    DATA_ACK = "data ack"
    WINDOW = "window"
    SENT = "sent"
    FLIGHT = "flight"
    SUBFLOW_SUM = "sum of the subflows"
    MOVING = "moving"
    MEAN = "mean"
    RTT = "RTT"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows."""

    title: str
    """With its unit, as in `RTT (ms)`."""
    column: str
    """The name in CSV files, as in `rtt_ms`."""
    lanes: tuple[str, ...] = ()
    """Names of the values 0, 1, …; empty where values are numbers."""
    large: bool = True
    """Whether values go into the thousands and more, and are shown as 10k and 2M."""


TIME = Axis("time (s)", "time_s")
"""The axis of all plots over time: their `x` are nanoseconds since 1970."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values that are drawn alike. Arrays of equal length, ordered by `x`."""

    name: str
    role: Role
    shape: Shape
    subflow: int | None
    """Index into the connection's subflows; None for what belongs to the whole connection."""
    x: Int64
    """Nanoseconds since 1970, or octets."""
    y: Values
    top: Values | None = None
    """Where segments end; `y` is where they begin."""
    labels: tuple[str, ...] = ()
    """What each point is, where points are named."""

    def __len__(self) -> int:
        return len(self.x)


def steps(name: str, role: Role, subflow: int | None, x: Int64, y: Values) -> Series:
    """A series of steps without those that change nothing, but for the last."""
    changes = np.append(True, y[1:] != y[:-1])[: len(y)]
    changes[-1:] = True
    return Series(name, role, Shape.STEPS, subflow, x[changes], y[changes])


@dataclass(frozen=True, slots=True)
class Moment:
    """A time that is marked across a plot."""

    time: int
    """Nanoseconds since 1970."""
    kind: str
    """Such as `ADD_ADDR`."""
    text: str
    """All that is known of it."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One product of one connection, in one direction (None: of both)."""

    product: Product
    connection: int
    direction: Direction | None
    title: str
    x: Axis
    y: Axis
    start: int
    """Of the connection, in nanoseconds since 1970: relative times count from here."""
    series: tuple[Series, ...]
    """Those that have values."""
    moments: tuple[Moment, ...] = ()

    @property
    def over_time(self) -> bool:
        return self.x is TIME

    @property
    def name(self) -> str:
        """What its files are called, without their suffix."""
        way = "" if self.direction is None else f"-{self.direction.name.lower()}"
        return f"connection{self.connection}{way}-{self.product}"
