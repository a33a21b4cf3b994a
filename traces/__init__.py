"""Captures: taking them, reading them, and what they say of MPTCP on the path."""
