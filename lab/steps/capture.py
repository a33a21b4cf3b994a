"""The step that captures on an interface in the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.runner import Runner
from lab.steps.base import Step

# tcpdump loses the end of a capture unless it writes each packet at once, and is ended by SIGINT and waited for.
START = """
umask 077
setsid tcpdump -i "$1" -w "$2" -s "$4" -Z root --immediate-mode -U -n "$3" >/dev/null 2>"$2.log" </dev/null &
echo $! >"$2.pid"
"""
# The process is ours if it still has our file as an argument: its number may have been given to another since.
IS_RUNNING = """
pid=$(cat "$1.pid" 2>/dev/null) && tr '\\0' '\\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "$1"
"""
# What waits for it in the kernel, tcpdump leaves there when it is interrupted. SIGUSR1 makes it count in its log, and
# between two answers it reads on: when they are equal it has caught up. While packets keep coming they never are, so
# there is an end to it.
CATCH_UP = """
  counted=
  for _ in $(seq 15); do
    lines=$(wc -l <"$1.log")
    kill -USR1 "$pid"
    for _ in $(seq 20); do [ "$(wc -l <"$1.log")" = "$lines" ] || break; sleep 0.05; done
    [ "$(tail -n 1 "$1.log")" != "$counted" ] || break
    counted=$(tail -n 1 "$1.log")
    sleep 0.05
  done
"""
# A process that has ended has no arguments any more, though its number may stay until init looks after it.
STOP = (
    IS_RUNNING.strip()
    + " && {"
    + CATCH_UP
    + """  kill -INT "$pid"
  for _ in $(seq 100); do grep -qs . "/proc/$pid/cmdline" || break; sleep 0.05; done
  ! grep -qs . "/proc/$pid/cmdline" || kill -KILL "$pid"
}
rm -f "$1.pid"
"""
)


@dataclass(frozen=True, slots=True)
class Capture(Step):
    """A tcpdump in the background that writes to a file. The file stays when the step is undone."""

    interface: str
    path: str
    expression: str
    """A pcap filter."""
    snap_length: int
    """Octets kept of each packet."""
    kind: ClassVar[str] = "capture"

    @property
    def subject(self) -> str:
        return f"capture on {self.interface} to {self.path}"

    @property
    def log(self) -> str:
        """What tcpdump said; at its end the packets captured, and those that the kernel dropped."""
        return f"{self.path}.log"

    def stands(self, host: Runner) -> bool:
        return host.probe("sh", "-c", IS_RUNNING, "sh", self.path).ok

    def apply(self, host: Runner) -> None:
        host.change("sh", "-c", START, "sh", self.interface, self.path, self.expression, str(self.snap_length))

    def undo(self, host: Runner) -> None:
        host.change("sh", "-c", STOP, "sh", self.path)
