"""What is seen of a way through the guest on which all is well, and how to spoil it."""

from __future__ import annotations

import dataclasses
import hashlib
from ipaddress import ip_address

from traces.checking.counters import Counters
from traces.checking.fetch import Fetched
from traces.checking.judgement import Observed
from traces.checking.subflows import Subflow

YAY = "Yay, you are MPTCP-capable! You can now rest in peace."
NAY = "Nay, Nay, Nay, your have to install MPTCP."
BULK = b"bulk" * 5_000_000
DIGEST = hashlib.sha256(BULK).hexdigest()
UPLINKS = ("wlp1s0", "wlan1")


def flow(
    uplink: str,
    down: int,
    *,
    joins: str = "",
    token: str = "",
    version: int | None = 1,
    agreed: bool = True,
    answered: bool = True,
    port: int = 1,
) -> Subflow:
    """A flow that the server answered, unless it is told otherwise."""
    return Subflow(
        uplink,
        float(port),
        client=(ip_address("192.168.1.21"), port),
        server=(ip_address("198.51.100.8"), 80),
        joins=joins,
        version=None if joins else version,
        answered=answered,
        agreed=agreed,
        token=token,
        bytes_up=down // 100,
        bytes_down=down,
    )


PAGE_FLOW = flow("wlp1s0", 60, token="0000aaaa", port=1)
BULK_FLOWS = [flow("wlp1s0", 15_000_000, token="0000bbbb", port=2), flow("wlan1", 5_000_000, joins="0000bbbb", port=3)]


def seen(**changed: object) -> Observed:
    """One way on which all was well, but for what is `changed`."""
    well = Observed(
        way="socks",
        page=Fetched(60, "", f"<p>{YAY}</p>\n"),
        bulk=Fetched(len(BULK), DIGEST, "bulk"),
        counters=Counters(agreed=2, joined=1, fallbacks=0),
        most_subflows=2,
        subflows=[PAGE_FLOW, *BULK_FLOWS],
    )
    return dataclasses.replace(well, **changed)  # type: ignore[arg-type]
