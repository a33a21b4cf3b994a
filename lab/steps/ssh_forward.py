"""The step that keeps an SSH client in the background, forwarding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lab.errors import MpsocksError
from lab.runner import CommandError, Runner
from lab.steps.base import Step


@dataclass(frozen=True, slots=True)
class SshForward(Step):
    """`ssh -D`: a SOCKS server on the lab host's loopback whose connections leave from the guest."""

    listen: str
    """Address and port, as `ssh -D` takes them."""
    control: str
    """Path of the control socket, by which the client is found again and ended."""
    options: tuple[str, ...]
    """Options that pin the guest's host key and name our own."""
    target: str
    kind: ClassVar[str] = "ssh-forward"

    @property
    def subject(self) -> str:
        return f"SOCKS server of ssh -D on {self.listen}"

    def stands(self, host: Runner) -> bool:
        return self._control(host, "check")

    @property
    def log(self) -> str:
        """Path of the file with what the client says."""
        return f"{self.control}.log"

    def apply(self, host: Runner) -> None:
        options = ("-f", "-N", "-M", "-S", self.control, "-D", self.listen, "-o", "ExitOnForwardFailure=yes")
        # To a file: a client in the background would hold on to the pipe that it was started with.
        script = 'log=$1 && shift && exec "$@" </dev/null >"$log" 2>&1'
        try:
            host.change("sh", "-c", script, "sh", self.log, "ssh", *options, *self.options, self.target)
        except CommandError as error:
            raise MpsocksError(
                f"the {self.subject} does not start",
                why=host.probe("cat", self.log).stdout or error.why,
                hint=f"see who listens there already: ss -ltnp src {self.listen}\n"
                "and whether the guest answers: invoke ssh-vm --command true",
            ) from error

    def undo(self, host: Runner) -> None:
        if host.probe("test", "-S", self.control).ok:
            if self.stands(host):
                host.change("ssh", "-S", self.control, "-O", "exit", *self.options, self.target)
            host.change("rm", "-f", Path(self.control))
        if host.probe("test", "-e", self.log).ok:
            host.change("rm", "-f", Path(self.log))

    def _control(self, host: Runner, command: str) -> bool:
        return host.probe("ssh", "-S", self.control, "-O", command, *self.options, self.target).ok
