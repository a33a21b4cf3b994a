"""How Hypothesis runs here."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no defect of the codec.
settings.register_profile("codec", deadline=None)
settings.load_profile("codec")
