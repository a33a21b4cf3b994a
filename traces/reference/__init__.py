"""Captures that the project makes itself, in the emulated internet, for people and tests: see README.md."""
