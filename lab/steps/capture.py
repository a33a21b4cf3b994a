"""The step that captures on an interface in the background."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lab.runner import CommandError, Runner
from lab.steps.base import Step

# tcpdump loses the end of a capture unless it writes each packet at once, and is ended by SIGINT and waited for.
START = """
umask 077
setsid tcpdump -i "$1" -w "$2" -s "$4" -B "$5" -Z root --immediate-mode -U -n --time-stamp-precision=nano -- "$3" \\
  >/dev/null 2>"$2.log" </dev/null &
echo $! >"$2.pid"
"""
# The process is ours if it still has our file as an argument: its number may have been given to another since.
IS_RUNNING = """
pid=$(cat "$1.pid" 2>/dev/null) && tr '\\0' '\\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "$1"
"""
IS_LISTENING = (
    """
for _ in $(seq "$2"); do
  ! grep -qs "listening on" "$1.log" || exit 0
  { """
    + IS_RUNNING.strip()
    + """; } || break
  sleep 0.05
done
grep -qs "listening on" "$1.log"
"""
)
# What waits for it in the kernel, tcpdump leaves there when it is interrupted. SIGUSR1 makes it count in its log: the
# packets it has written, those that have passed the filter, and those that the kernel had no room for. It has caught
# up when it has written all that had passed when it was first asked. On loopback, where each packet passes twice,
# that cannot be told: there it has when it has written no more for four looks.
CATCH_UP = """
  count() {
    lines=$(wc -l <"$1.log")
    kill -USR1 "$pid"
    for _ in $(seq 20); do [ "$(wc -l <"$1.log")" = "$lines" ] || break; sleep 0.05; done
    tail -n 1 "$1.log" | tr -cd '0-9 '
  }
  wanted= before= same=0
  for _ in $(seq 100); do
    set -- "$1" $(count "$1")
    : "${wanted:=${3:-0}}"
    [ "$((${2:-0} + ${4:-0}))" -lt "$wanted" ] || break
    if [ "${2:-}" = "$before" ]; then same=$((same + 1)); else same=0; fi
    [ "$same" -lt 4 ] || break
    before=${2:-}
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
LOOKS_A_SECOND = 20


@dataclass(frozen=True, slots=True)
class Capture(Step):
    """A tcpdump in the background that writes to a file. The file stays when the step is undone."""

    interface: str
    path: str
    """Of the file, on the machine that has the interface."""
    expression: str
    """A pcap filter."""
    snap_length: int
    """Octets kept of each packet."""
    buffer: int = 2048
    """KiB that the kernel may hold until tcpdump comes to take them."""
    through: tuple[str, ...] = ()
    """What goes before a command to run it where the interface is: `ip netns exec NAME`, or `ssh … USER@ADDRESS`."""
    where: str = ""
    """What a person calls that place; nothing for the lab host itself."""
    kind: ClassVar[str] = "capture"

    @property
    def subject(self) -> str:
        where = f" of {self.where}" if self.where else ""
        return f"capture on {self.interface}{where} to {self.path}"

    @property
    def log(self) -> str:
        """What tcpdump said; at its end the packets captured, and those that the kernel dropped."""
        return f"{self.path}.log"

    def stands(self, host: Runner) -> bool:
        return self._there(host).probe("sh", "-c", IS_RUNNING, "sh", self.path).ok

    def apply(self, host: Runner) -> None:
        settings = (self.expression, str(self.snap_length), str(self.buffer))
        self._there(host).change("sh", "-c", START, "sh", self.interface, self.path, *settings)

    def undo(self, host: Runner) -> None:
        there = self._there(host)
        try:
            there.change("sh", "-c", STOP, "sh", self.path)
        except CommandError:
            # With its machine the capture is gone too.
            if there.probe("true").ok:
                raise

    def is_listening(self, host: Runner, seconds: float) -> bool:
        """Whether it captures by now, waiting up to `seconds` for it to begin."""
        looks = str(int(seconds * LOOKS_A_SECOND))
        return self._there(host).probe("sh", "-c", IS_LISTENING, "sh", self.path, looks).ok

    def said(self, host: Runner) -> str:
        """What tcpdump has said so far; nothing while it has not made its file."""
        return self._there(host).probe("cat", self.log).stdout

    def fetch(self, host: Runner, local: Path) -> None:
        """Copy the file from where it was made over ssh to this host, for its owner only."""
        command = (*self.through, shlex.join(("cat", self.path)))
        host.change("sh", "-c", 'umask 077 && exec "$@" >"$0"', local, *command)

    def _there(self, host: Runner) -> Runner:
        return host.inside(*self.through) if self.through else host
