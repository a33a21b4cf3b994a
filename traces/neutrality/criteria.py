"""How much it takes to say something: every threshold of the verdicts, in one place."""

from __future__ import annotations

SIGNIFICANCE = 0.005
"""A difference is said to be there when its p-value, after Holm's correction, is below."""

FEWEST_REPLIES = 3
"""SYN-ACKs that an arm needs before anything is said about them."""

FEWEST_FAR_PROBES = 5
"""SYNs of an arm whose TTL suffices to reach the target, before their share that is answered is said to be alike."""

DROPPED_SHARE = 0.5
"""An arm is dropped when its SYNs are answered less than this times as often as those of the reference."""

TELLING_GAP = 2
"""Hops by which an arm has to be answered earlier, where the TTL of the replies does not tell."""

FEWEST_PAIRS = 9
"""Pairs of transfers: with fewer, no outcome of the sign-flip test is below the significance (2 / 2^8 = 0.008)."""

MARGIN = 1.25
"""Rates whose ratio is between 1/1.25 and 1.25 are equivalent."""

LOOKS = 4
"""Times that the rates are looked at, at most: pairs are added in batches while they cannot be told apart."""

EQUIVALENCE = 0.05 / LOOKS
"""The two one-sided tests show equivalence when the p-value of both is below: 0.05 for all looks together.

The interval of the ratio must be within the margin, too.
"""

CONFIDENCE = 0.99
"""Of the interval of the ratio of the rates."""
