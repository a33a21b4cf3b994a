"""The one door to commands on the lab host.

A `Runner` wraps an Invoke `Context` or a Fabric `Connection`: both have the same `run`, so a lab host is this machine
or `user@host` without a second code path. Commands are argv lists and are quoted here, once.
"""

from __future__ import annotations

import io
import json
import shlex
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import CommandTimedOut
from invoke.runners import Local, Result

from lab.errors import MpsocksError

Argument = str | Path
HEREDOC_MARK = "MPSOCKS_END"
QUOTED_LINES = 12


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended: its standard output and error as text, and its exit code."""

    command: str
    stdout: str
    stderr: str
    exit_code: int

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


class CommandError(MpsocksError):
    """A command exited with a code other than 0, or ran out of its time."""

    def __init__(self, completed: Completed, hint: str = "") -> None:
        printed = (completed.stderr.strip() or completed.stdout.strip() or "it printed nothing").splitlines()
        super().__init__(
            f"`{completed.command.splitlines()[0]}` failed with exit code {completed.exit_code}",
            why="\n".join(printed[-QUOTED_LINES:]),
            hint=hint,
        )
        self.completed = completed


class _Lines(io.StringIO):
    """A text sink that hands over each finished line as it arrives."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        super().__init__()
        self._on_line = on_line
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).replace("\r", "\n").split("\n")
        for line in lines:
            self._on_line(line)
        return len(text)

    def finish(self) -> None:
        """Hand over a last line that was not ended."""
        if self._rest:
            self._on_line(self._rest)


class _TidyLocal(Local):
    """Invoke leaves the pipes of a local command, and a command that was ended, to the garbage collector, which warns.

    And it forwards ^C to a command as a character that only a terminal understands, and goes on.
    """

    # Seconds between two looks whether a command has ended: Invoke's 10 ms are most of what our small ones take.
    input_sleep = 0.002

    def send_interrupt(self, interrupt: KeyboardInterrupt) -> None:
        self.process.send_signal(signal.SIGINT)
        raise interrupt

    def stop(self) -> None:
        super().stop()
        process = getattr(self, "process", None)
        if process:
            for pipe in (process.stdin, process.stdout, process.stderr):
                pipe.close()
            process.wait()


class Runner:
    """Runs commands on one host.

    `change` is for commands that change something: with `--dry` they are printed, ready to paste, and not run.
    `read` and `probe` only look, and run in either case, since later decisions hang on their answer.
    """

    def __init__(self, context: Context, *, prefix: tuple[str, ...] = (), by_shell: bool = False) -> None:
        """`prefix` goes before every command: `("sudo", "-n")`, or `("ip", "netns", "exec", NAME)`.

        With `by_shell` it takes the command as one word that a shell reads, as ssh does.
        """
        context.config.runners.local = _TidyLocal
        self.context = context
        self.prefix = prefix
        self._by_shell = by_shell

    @property
    def dry(self) -> bool:
        return bool(self.context.config.run.dry)

    def inside(self, *prefix: str) -> Runner:
        """The same host, with every command run through `prefix`: into a namespace, or over `ssh … USER@HOST`."""
        return Runner(self.context, prefix=(*self.prefix, *prefix), by_shell=prefix[:1] == ("ssh",))

    def change(
        self,
        *argv: Argument,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        on_line: Callable[[str], None] | None = None,
        hint: str = "",
    ) -> str:
        """Run a command that changes the host; return its standard output, raise `CommandError` if it fails.

        `stdin` is text; `timeout` is in seconds; `on_line` is called with each line of output as it comes.
        """
        if self.dry:
            print(self._command(argv, stdin, env), flush=True)
            return ""
        return self._checked(self._run(argv, stdin, env, timeout=timeout, on_line=on_line), hint)

    def read(self, *argv: Argument, stdin: str | None = None, timeout: float | None = None, hint: str = "") -> str:
        """Run a command that only looks; return its standard output, raise `CommandError` if it fails."""
        return self._checked(self._run(argv, stdin, timeout=timeout), hint)

    def read_json(self, *argv: Argument) -> Any:
        """The JSON that a reading command prints; an empty answer is an empty list, as `ip -j` means it."""
        return json.loads(self.read(*argv) or "[]")

    def probe(
        self, *argv: Argument, stdin: str | None = None, timeout: float | None = None, show_errors: bool = False
    ) -> Completed:
        """Run a command that only looks and may fail: the exit code is the answer.

        With `show_errors` its standard error is passed on as it comes, for commands that tell their progress.
        """
        return self._run(argv, stdin, timeout=timeout, hide="out" if show_errors else True)

    def _command(self, argv: tuple[Argument, ...], stdin: str | None, env: Mapping[str, str] | None) -> str:
        variables = [f"{name}={value}" for name, value in (env or {}).items()]
        words = [*(["env", *variables] if variables else []), *(str(word) for word in argv)]
        command = shlex.join([*self.prefix, *([shlex.join(words)] if self._by_shell else words)])
        if stdin is None:
            return command
        # A here-document rather than a pipe: it works the same over SSH, and --dry prints something to paste.
        return f"{command} <<'{HEREDOC_MARK}'\n{stdin.rstrip(chr(10))}\n{HEREDOC_MARK}"

    def _run(
        self,
        argv: tuple[Argument, ...],
        stdin: str | None,
        env: Mapping[str, str] | None = None,
        *,
        timeout: float | None,
        on_line: Callable[[str], None] | None = None,
        hide: bool | str = True,
    ) -> Completed:
        command = self._command(argv, stdin, env)
        # Invoke passes output on only when it is not hidden: then ours goes to the line readers and nowhere else.
        readers = {name: _Lines(on_line) for name in ("out_stream", "err_stream")} if on_line else {}
        try:
            result = self.context.run(
                # The shell gives way to the command, which then gets the signal at a time limit. One that wants input
                # which it was not given sees an end of file: nobody would answer it.
                f"exec {command}" if stdin is not None else f"exec {command} </dev/null",
                hide=False if readers else hide,
                warn=True,
                in_stream=False,
                dry=False,
                timeout=timeout,
                **readers,
            )
        except CommandTimedOut as error:
            late = error.result
            why = f"{late.stdout}{late.stderr}\nended after {timeout:g} s".strip()
            return Completed(command, "", why, 124)
        assert isinstance(result, Result)
        for reader in readers.values():
            reader.finish()
        return Completed(command, result.stdout, result.stderr, int(result.exited))

    @staticmethod
    def _checked(completed: Completed, hint: str) -> str:
        if not completed.ok:
            raise CommandError(completed, hint)
        return completed.stdout
