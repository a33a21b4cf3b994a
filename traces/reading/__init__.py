"""Capture files in, columns of TCP segments out: as fast as NumPy is, and in pieces that fit in memory."""
