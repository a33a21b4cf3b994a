"""Fuzzing of the codec: `target` takes any octets and asserts what must hold for them.

`decoders` and `conversations` hold those properties, for single messages and for the state machines. `process` has
atheris look for octets that break them, guided by coverage, `mutations` does so without, and `campaign` runs the former
for as long as one likes. `seeds` are where both start.
"""
