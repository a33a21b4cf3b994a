"""Tests of the dissector: tshark reads captures of what the codec wrote, and must say the same."""
