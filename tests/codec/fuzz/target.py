"""What is tried with octets that the codec is given."""

from __future__ import annotations

from functools import partial

from tests.codec.fuzz.conversations import CONVERSATIONS
from tests.codec.fuzz.decoders import DECODERS, check_decoder
from tests.fuzzing.subject import Target

TARGET = Target({**{name: partial(check_decoder, name) for name in DECODERS}, **CONVERSATIONS})
