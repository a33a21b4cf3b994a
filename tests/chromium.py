"""A page in headless Chromium without a network, driven over its debugging pipe (Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

PATIENCE = 60
"""Seconds that a page may take before it is a failure."""
READ_BY_CHROMIUM, WRITTEN_BY_CHROMIUM = 3, 4
ABOVE_THOSE = 10
ARTEFACTS = Path(__file__).parent.parent / "artefacts"
"""What tests leave for people to look at; not under version control."""


class Page:
    """One page. `problems` are its console's errors and warnings, `requests` the URLs that it asked for."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._commands = commands
        self._answers = answers
        self._received = b""
        self._number = 0
        self._session = ""
        self._loaded = False
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page", "Network"):
            self._call(f"{domain}.enable")

    def open(self, path: Path) -> None:
        """Load a file and wait until it is there and its scripts have run once."""
        self._loaded = False
        self._call("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + PATIENCE
        while not self._loaded:
            self._take(self._message(deadline))

    def evaluate(self, script: str) -> Any:
        """The value of an expression of JavaScript in the page; promises are waited for."""
        told = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def resize(self, width: int, height: int) -> None:
        """Give the page another size, in CSS pixels."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, name: str) -> Path:
        """A picture of the page among the artefacts."""
        ARTEFACTS.mkdir(exist_ok=True)
        path = ARTEFACTS / f"{name}.png"
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))
        return path

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._message(deadline)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer}"
                result: dict[str, Any] = answer["result"]
                return result
            self._take(answer)

    def _message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._received:
            left = deadline - time.monotonic()
            assert select.select([self._answers], [], [], max(left, 0))[0], "Chromium does not answer"
            octets = os.read(self._answers.fileno(), 1 << 20)
            assert octets, "Chromium has ended"
            self._received += octets
        one, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(one)
        return message

    def _take(self, message: dict[str, Any]) -> None:
        """Note what the page says by itself."""
        told = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(told["exceptionDetails"]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.problems.append(told["entry"]["text"])
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.problems.append(json.dumps(told["args"]))


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """Start Chromium in a network namespace in which nothing can be reached, with its profile in `folder`."""
    for_chromium, commands = os.pipe()
    answers, from_chromium = os.pipe()
    inner = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, ABOVE_THOSE) for end in (for_chromium, from_chromium)]
    for end in (for_chromium, from_chromium):
        os.close(end)
    moved = [(os.POSIX_SPAWN_DUP2, inner[0], READ_BY_CHROMIUM), (os.POSIX_SPAWN_DUP2, inner[1], WRITTEN_BY_CHROMIUM)]
    silent = [(os.POSIX_SPAWN_OPEN, 2, str(folder / "chromium.log"), os.O_WRONLY | os.O_CREAT, 0o600)]
    command = [
        "unshare", "--net", "chromium-headless-shell", "--remote-debugging-pipe",
        # Its sandbox refuses to run for root, and shared memory is short in containers.
        "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900", f"--user-data-dir={folder / 'profile'}",
    ]  # fmt: skip
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=moved + silent)
    for end in inner:
        os.close(end)
    with os.fdopen(commands, "wb") as to_it, os.fdopen(answers, "rb", buffering=0) as from_it:
        try:
            yield Page(to_it, from_it)
        finally:
            with suppress(OSError):
                to_it.write(b'{"id":0,"method":"Browser.close"}\0')
                to_it.flush()
            os.waitpid(process, 0)
