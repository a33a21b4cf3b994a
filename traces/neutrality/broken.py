"""What transfers that did not end whole tell of who answers."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

from traces.neutrality.model import Target

MOST = 3
"""Reasons that are told."""


def failures(target: Target) -> str:
    """Each reason, and how many transfers it ended."""
    told = [
        f"{transfer.failure}, see {transfer.redirect}" if transfer.redirect else transfer.failure
        for pair in target.pairs
        for transfer in pair
        if transfer.failure
    ]
    return "; ".join(f"{count} times: {failure}" for failure, count in Counter(told).most_common(MOST))


def sent_elsewhere(target: Target) -> bool:
    """Whether every download was redirected to another host, as a captive portal does it."""
    host = target.name.rpartition(":")[0].strip("[]").lower()
    others = [_host(plain.redirect) for plain, _ in target.pairs]
    return bool(others) and all(other not in {"", host} for other in others)


def _host(url: str) -> str:
    """Empty where there is none, as in a redirection within the same host."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
