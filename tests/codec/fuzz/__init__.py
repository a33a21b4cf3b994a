"""Fuzzing of the codec: `target` takes any octets and asserts what must hold for them.

`decoders` and `conversations` hold those properties, for single messages and for the state machines; `seeds` are where
it starts. `tests.fuzzing` looks for octets that break them.
"""
