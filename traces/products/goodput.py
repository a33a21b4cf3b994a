"""How fast data are acknowledged: over a moving interval, and on average since the beginning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.errors import BadInputError
from traces.products.plot import NANOSECONDS, Axis, Int64, Plot, Product, Role, Series, Shape, steps
from traces.products.series import plot_of
from traces.products.sides import Side, held, merged

GOODPUT = Axis("goodput (MB/s)", "megabytes_per_second", large=False)
"""A megabyte is 10^6 octets."""
PER_MEGABYTE = NANOSECONDS / 1e6


@dataclass(frozen=True, slots=True)
class Interval:
    """What a moving average is over: so many nanoseconds, or so many data acknowledgements. One of them is 0."""

    nanoseconds: int = 0
    acks: int = 0

    @property
    def text(self) -> str:
        return f"{self.acks} data acks" if self.acks else f"{self.nanoseconds / NANOSECONDS:g} s"


def read_interval(text: str, what: str) -> Interval:
    """`0.5` (seconds), `500ms`, `2s` or `20acks` as an interval; `BadInputError` when it is none."""
    units = {"acks": 0.0, "ms": 1e6, "s": 1e9, "": 1e9}
    unit = next(unit for unit in units if text.endswith(unit))
    try:
        number = int(text.removesuffix(unit)) if unit == "acks" else float(text.removesuffix(unit))
        interval = Interval(acks=int(number)) if unit == "acks" else Interval(round(number * units[unit]))
    except (ValueError, OverflowError):
        interval = Interval()
    if interval.nanoseconds <= 0 and interval.acks < 2:
        raise BadInputError(f"{what} is {text!r}", hint="give seconds, or from 2 data acks on: 0.5, 500ms, 20acks")
    return interval


def usual_interval(seconds: float) -> Interval:
    """What suits a connection of that duration: a second, or 1, 2 or 5 of a smaller unit, such that 20 fit into it."""
    for exponent in range(8, 2, -1):
        for digit in (10, 5, 2):
            nanoseconds = digit * 10**exponent
            if 20 * nanoseconds <= seconds * NANOSECONDS:
                return Interval(nanoseconds)
    return Interval(1000)


def goodput(side: Side, interval: Interval | None) -> Plot:
    """Octets acknowledged at the level of the connection in each second; without an interval, over the usual one."""
    interval = interval or usual_interval(side.connection.duration)
    advances = np.diff(side.acked.highest, prepend=0) > 0
    times, highest = side.acked.time[advances], side.acked.highest[advances]
    moving = _over_acks(times, highest, interval.acks) if interval.acks else _over_time(side, interval.nanoseconds)
    later = times > side.start
    mean = highest[later] / (times[later] - side.start) * PER_MEGABYTE
    # Steps: between two acknowledgements it falls, and a line up to the next one would have it rise too early.
    series = [moving, steps("mean since the beginning", Role.MEAN, None, times[later], mean)]
    return plot_of(side, Product.GOODPUT, f"goodput over {interval.text}", GOODPUT, series)


def _over_time(side: Side, width: int) -> Series:
    """A step whenever an acknowledgement comes, and when it is no longer within the interval."""
    acked = side.acked
    times = merged(acked.time, acked.time + width)
    times = times[times <= acked.time[-1]] if len(acked.time) else acked.time
    rate = (acked.upto(times) - held(acked.time, acked.highest, times - width, before=0)) / width * PER_MEGABYTE
    return steps("moving", Role.MOVING, None, times, rate)


def _over_acks(times: Int64, highest: Int64, acks: int) -> Series:
    """From each acknowledgement back to the one so many before, of those that acknowledge something new."""
    passed, gained = times[acks:] - times[:-acks], highest[acks:] - highest[:-acks]
    apart = passed > 0
    rate = gained[apart] / passed[apart] * PER_MEGABYTE
    return Series("moving", Role.MOVING, Shape.LINE, None, times[acks:][apart], rate)
