"""`python -m lab.testbed.web [--plain] [--port PORT]`: serve until ended."""

from __future__ import annotations

import argparse

from .server import Server


def main() -> None:
    """Read the command line, and serve until a signal ends the process."""
    parser = argparse.ArgumentParser(description="Tells whether a connection is MPTCP; serves octets.")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--plain", action="store_true", help="speak plain TCP only")
    options = parser.parse_args()
    with Server(options.host, options.port, mptcp=not options.plain) as server:
        server.serve_forever()


main()
