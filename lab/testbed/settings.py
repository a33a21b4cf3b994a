"""What can be chosen about the emulated internet, checked before anything is made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lab.errors import BadInputError

BOX_ROUTER = 5  # as in the origin's traces: plain TCP was answered five hops away
MIN_RATE = 64_000
INITIAL_TTL = 64


@dataclass(frozen=True, slots=True)
class IspSettings:
    """One Internet access."""

    down: int
    """Rate toward the subscriber, bit/s."""
    up: int
    """Rate from the subscriber, bit/s."""
    delay: float
    """Added in each direction, ms; left out where the kernel has no netem."""
    routers: int
    """Routers between the subscriber and the core, the one that translates addresses included."""


@dataclass(frozen=True, slots=True)
class BoxSettings:
    """The mobile ISP's line when its box interferes: as in the origin's traces, 8.6 and 3.0 MB/s of payload."""

    line: int = 72_000_000
    """Rate toward the subscriber, bit/s, which plain TCP has to itself."""
    passing: int = 25_400_000
    """Rate of the connections that the box lets pass, bit/s: those that ask for MPTCP."""


@dataclass(frozen=True, slots=True)
class TestbedSettings:
    """The whole emulated internet. `BadInputError` when it could not be built so."""

    # pytest takes classes named Test… for tests.
    __test__ = False

    prefix: str = "mpsocks"
    """First part of every namespace's name."""
    fixed: IspSettings = field(default=IspSettings(down=40_000_000, up=10_000_000, delay=5, routers=4))
    mobile: IspSettings = field(default=IspSettings(down=24_000_000, up=8_000_000, delay=20, routers=8))
    core_routers: int = 5
    """Routers that both ISPs share on the way to the web server."""
    far_routers: int = 2
    """Routers beyond those, before the far server."""
    interception: bool = False
    """Whether the mobile ISP's box interferes."""
    box: BoxSettings = field(default_factory=BoxSettings)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", self.prefix):
            raise BadInputError(
                f"{self.prefix!r} cannot begin the names of namespaces",
                hint="use up to 31 small letters, digits and dashes, a letter first",
            )
        for isp in (self.fixed, self.mobile):
            if min(isp.down, isp.up) < MIN_RATE or isp.delay < 0:
                raise BadInputError(
                    f"the testbed cannot make an uplink of {isp.down} bit/s down, {isp.up} bit/s up, {isp.delay} ms",
                    hint=f"rates are bit/s, at least {MIN_RATE}; the delay is in ms, at least 0",
                )
        self._check_routers()

    def _check_routers(self) -> None:
        fewest = {"fixed": (self.fixed.routers, 2), "mobile": (self.mobile.routers, BOX_ROUTER + 1)}
        fewest |= {"core": (self.core_routers, 1), "far": (self.far_routers, 1)}
        for part, (routers, least) in fewest.items():
            if routers < least:
                raise BadInputError(f"{routers} routers are too few for the {part} part", hint=f"{least} is the least")
        longest = max(self.fixed.routers, self.mobile.routers) + self.core_routers + self.far_routers
        if longest >= INITIAL_TTL:
            raise BadInputError(
                f"a path of {longest} routers is too long",
                why=f"packets set out with a TTL of {INITIAL_TTL}",
                hint=f"keep it below {INITIAL_TTL}",
            )
