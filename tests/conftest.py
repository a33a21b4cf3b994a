"""How Hypothesis runs, network namespaces for tests, and the lab as it would be on a host of its own."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import settings
from invoke.context import Context

from lab.cache import Cache
from lab.context import Lab
from lab.journal import Journal
from lab.progress import Progress
from lab.runner import Runner
from lab.settings import Settings

# A busy machine is no defect of what is tested.
settings.register_profile("whole", deadline=None)
settings.register_profile("fast", deadline=None, max_examples=20)
settings.load_profile("whole")

# Run as a background job, as some CI does, this process ignores SIGINT, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The first two fail most often, whatever was changed, and checking the types takes longer than all else that is quick.
# The third takes a third of the time that all tests with a guest take.
FIRST = ("test_linters.py", "test_architecture.py", "test_kills.py")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected lasts to the end: looking for garbage in it took two of five seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in FIRST)


_numbers = itertools.count()

MakeNamespace = Callable[[], Runner]


@contextmanager
def namespaces() -> Iterator[MakeNamespace]:
    """Makes network namespaces with loopback up, each a Runner; removes them at the end with all that runs in them."""
    made: list[str] = []

    def make() -> Runner:
        name = f"unit{os.getpid()}-{next(_numbers)}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        made.append(name)
        runner = Runner(Context(), prefix=("ip", "netns", "exec", name))
        # Duplicate address detection would change addresses by itself while tests compare them.
        no_detection = "net/ipv6/conf/default/accept_dad=0 net/ipv6/conf/all/accept_dad=0"
        runner.change("sh", "-c", f"sysctl -q -w {no_detection} && ip link set dev lo up")
        return runner

    try:
        yield make
    finally:
        for name in made:
            inside = subprocess.run(["ip", "netns", "pids", name], check=True, capture_output=True, text=True)
            for pid in inside.stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.fixture
def make_namespace() -> Iterator[MakeNamespace]:
    """Makes network namespaces for one test."""
    with namespaces() as make:
        yield make


@pytest.fixture
def netns(make_namespace: MakeNamespace) -> Runner:
    """A Runner in a fresh network namespace."""
    return make_namespace()


@pytest.fixture
def here() -> Runner:
    """A Runner on this machine itself, for commands that change nothing but files of the test."""
    return Runner(Context())


def namespace_name(runner: Runner) -> str:
    """The name of the namespace that a Runner of `make_namespace` works in."""
    return runner.prefix[-1]


def lab_on(host: Runner, folder: Path, settings: Settings | None = None) -> Lab:
    """A lab on that host, with its state and cache below `folder`."""
    settings = settings or Settings(state=str(folder / "state"), cache=str(folder / "cache"))
    journal = Journal(settings.state_folder, host)
    return Lab(settings, host, journal, Cache(settings.cache_folder), Progress())
