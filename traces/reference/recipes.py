"""Which reference captures there are, and how each is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.testbed.session import WEB_SERVER

LOST = "wlp1s0"
COUNTS = "%{stderr}%{size_request} %{size_header} %{size_download}"
"""What curl counted, in octets: of the request, of the answer's header, of its body."""
_SILENCE = f"""nft -f - <<'END'
table inet silence {{
    chain forward {{
        type filter hook forward priority 0
        iifname {LOST} drop
        oifname {LOST} drop
    }}
}}
END"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A capture of one download through the SOCKS server in the guest."""

    name: str
    octets: int
    options: tuple[str, ...] = ()
    """Of `invoke capture`."""
    silent_after: int = 0
    """Octets after which nothing passes the first uplink any more, in either direction; 0 for never."""

    def command(self, socks: str) -> tuple[str, ...]:
        """The download, through the SOCKS server at `socks`."""
        url = f"http://{WEB_SERVER}/bytes/{self.octets}"
        curl = ("curl", "-sS", "--socks5-hostname", socks, "--write-out", COUNTS, url)
        if not self.silent_after:
            return (*curl, "--output", "/dev/null")
        reader = f"head -c {self.silent_after} > /dev/null\n{_SILENCE}\ncat > /dev/null\nnft delete table inet silence"
        return ("sh", "-c", f'"$@" | {{ {reader}; }}', "sh", *curl)


RECIPES = (
    Recipe("two-uplinks", 400_000),
    Recipe("everywhere", 200_000, ("--guest", "--server")),
    Recipe("silent-uplink", 1_500_000, silent_after=500_000),
)
TABLE = ("check-neutrality", "--itf", "wlan1", "--bytes", "200k")
"""What makes the captures of the origin's table."""


def counted(told: str) -> tuple[int, int]:
    """The octets that the client sent and received, in what curl said by `COUNTS`."""
    request, header, body = (int(number) for number in _last_line(told.splitlines()).split())
    return request, header + body


def _last_line(lines: Iterable[str]) -> str:
    return [line for line in lines if line.strip()][-1]
