"""The emulated internet as tasks use it: up, into it, down, and what the lab in it is told."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from lab.context import Lab
from lab.errors import MpsocksError
from lab.journal import Journal
from lab.steps import NetworkNamespace, NewFile
from lab.testbed.build import build, exec_prefix
from lab.testbed.model import Topology
from lab.testbed.settings import TestbedSettings
from lab.testbed.topology import topology
from lab.testbed.web.octets import Digests

SCOPE = "testbed"
WEB_SERVER = "mptcp.test"
WEB_SERVERS = {WEB_SERVER: "mptcp", "far.mptcp.test": "mptcp", "plain.test": "tcp"}
"""What each speaks."""
BULK_OCTETS = 20_000_000


def testbed_settings(lab: Lab) -> TestbedSettings:
    """The emulated internet that the lab's settings describe."""
    chosen, usual = lab.settings.testbed, TestbedSettings()
    return replace(
        usual,
        prefix=chosen.prefix,
        fixed=replace(usual.fixed, down=chosen.fixed_down, up=chosen.fixed_up),
        mobile=replace(usual.mobile, down=chosen.mobile_down, up=chosen.mobile_up),
        interception=chosen.interception,
    )


def testbed_up(lab: Lab) -> Topology:
    """Build the emulated internet, every namespace a journalled step; nothing stays of one that could not be built."""
    planned = topology(testbed_settings(lab))
    with lab.journal.transaction():
        lab.journal.apply(NewFile(str(planned.resolv_conf.path), planned.resolv_conf.content), SCOPE)
        build(
            planned,
            lab.host,
            lab.progress,
            _folder(lab),
            lambda name: lab.journal.apply(NetworkNamespace(name), SCOPE),
        )
    return planned


def testbed_down(lab: Lab) -> int:
    """End the lab inside and remove the emulated internet; return how many steps were taken back."""
    undone = 0
    try:
        undone = clean_inside(lab)
    finally:
        # What could not be taken back inside is gone with the namespaces, or is found again by the journal in there.
        undone += lab.journal.undo(SCOPE)
    return undone


def clean_everything(lab: Lab) -> int:
    """Take back all that was ever made from this state folder, the emulated internet included."""
    undone = 0
    try:
        undone = testbed_down(lab)
    finally:
        undone += lab.journal.undo()
    return undone


def clean_inside(lab: Lab) -> int:
    """Take back what was set up on the emulated lab host."""
    name = lab_namespace(lab)
    there = name and NetworkNamespace(name).stands(lab.host)
    # Without its namespace the lab's network is gone. An empty namespace says so, where this host's own would not.
    prefix = exec_prefix(name) if there else ("unshare", "--net")
    return Journal(inner_state(lab), lab.host.inside(*prefix)).undo()


def lab_namespace(lab: Lab) -> str:
    """The namespace of the emulated lab host that stands, or nothing."""
    steps = [entry.step for entry in lab.journal.entries() if entry.scope == SCOPE]
    return next((Path(step.path).parent.name for step in steps if isinstance(step, NewFile)), "")


def is_up(lab: Lab) -> bool:
    """Whether an emulated internet stands."""
    return bool(lab_namespace(lab))


def inner_state(lab: Lab) -> Path:
    """The state folder of the lab inside."""
    return lab.state / "testbed" / "lab"


def inner_environment(lab: Lab) -> dict[str, str]:
    """What a lab on the emulated lab host is told: a state of its own, and the servers for its checks."""
    server = f"http://{WEB_SERVER}"
    return {
        "INVOKE_MPSOCKS_STATE": str(inner_state(lab)),
        "INVOKE_MPSOCKS_CACHE": str(lab.settings.cache_folder),
        "INVOKE_MPSOCKS_CHECK_PAGE_URL": f"{server}/",
        "INVOKE_MPSOCKS_CHECK_BULK_URL": f"{server}/bytes/{BULK_OCTETS}",
        "INVOKE_MPSOCKS_CHECK_BULK_SHA256": Digests().of_first(BULK_OCTETS),
        "INVOKE_MPSOCKS_NEUTRALITY_TARGETS": ",".join(f"{name}:80={speaks}" for name, speaks in WEB_SERVERS.items()),
        "INVOKE_MPSOCKS_NEUTRALITY_PATH": "/bytes/{bytes}",
        # The command finds `invoke` and what else this environment has.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def exec_argv(lab: Lab, command: list[str]) -> list[str]:
    """The argv that runs `command` as if on the emulated lab host; `MpsocksError` when there is none."""
    if not is_up(lab) and not lab.host.dry:
        raise MpsocksError("there is no emulated internet", hint="build it: invoke testbed-up")
    variables = [f"{name}={value}" for name, value in inner_environment(lab).items()]
    name = lab_namespace(lab) or topology(testbed_settings(lab)).lab
    return [*exec_prefix(name), "env", *variables, *command]


def _folder(lab: Lab) -> Path:
    return lab.state / "testbed" / "servers"
