"""The emulated internet's web server: says whether a connection was MPTCP, and serves octets with a known SHA-256.

Standard library only, and it imports nothing from outside this folder: it is copied to wherever the testbed runs.
"""
