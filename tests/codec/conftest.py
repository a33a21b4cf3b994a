"""How Hypothesis runs here."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no defect of the codec.
settings.register_profile("codec", deadline=None)
settings.register_profile("fast", deadline=None, max_examples=20)
settings.load_profile("codec")
