"""Tests of the data plane: real processes, real sockets, on loopback or in namespaces of their own."""
