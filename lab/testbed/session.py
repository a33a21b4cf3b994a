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
BULK_OCTETS = 20_000_000


def testbed_up(lab: Lab, settings: TestbedSettings) -> Topology:
    """Build the emulated internet, every namespace a journalled step; nothing stays of one that could not be built."""
    planned = topology(settings)
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


def testbed_down(lab: Lab, settings: TestbedSettings) -> int:
    """End the lab inside and remove the emulated internet; return how many steps were taken back."""
    return clean_inside(lab, settings) + lab.journal.undo(SCOPE)


def clean_inside(lab: Lab, settings: TestbedSettings) -> int:
    """Take back what was set up on the emulated lab host."""
    prefix = exec_prefix(topology(settings).lab)
    return Journal(inner_state(lab), lab.host.inside(*prefix)).undo()


def is_up(lab: Lab) -> bool:
    """Whether an emulated internet stands."""
    return any(entry.scope == SCOPE for entry in lab.journal.entries())


def inner_state(lab: Lab) -> Path:
    """The state folder of the lab inside."""
    return lab.state / "testbed" / "lab"


def inner_environment(lab: Lab) -> dict[str, str]:
    """What a lab on the emulated lab host is told: a state of its own, and what to fetch for `check-mptcp`."""
    server = f"http://{WEB_SERVER}"
    return {
        "INVOKE_MPSOCKS_STATE": str(inner_state(lab)),
        "INVOKE_MPSOCKS_CACHE": str(lab.settings.cache_folder),
        "INVOKE_MPSOCKS_CHECK_PAGE_URL": f"{server}/",
        "INVOKE_MPSOCKS_CHECK_BULK_URL": f"{server}/bytes/{BULK_OCTETS}",
        "INVOKE_MPSOCKS_CHECK_BULK_SHA256": Digests().of_first(BULK_OCTETS),
        # The command finds `invoke` and what else this environment has.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def exec_argv(lab: Lab, settings: TestbedSettings, command: list[str]) -> list[str]:
    """The argv that runs `command` as if on the emulated lab host; `MpsocksError` when there is none."""
    if not is_up(lab) and not lab.host.dry:
        raise MpsocksError("there is no emulated internet", hint="build it: invoke testbed-up")
    variables = [f"{name}={value}" for name, value in inner_environment(lab).items()]
    return [*exec_prefix(topology(settings).lab), "env", *variables, *command]


def inside(lab: Lab, settings: TestbedSettings) -> Lab:
    """The lab on the emulated lab host, for commands that are run from without."""
    runner = lab.host.inside(*exec_prefix(topology(settings).lab))
    inner = replace(lab.settings, state=str(inner_state(lab)))
    return replace(lab, settings=inner, host=runner, journal=Journal(inner_state(lab), runner))


def _folder(lab: Lab) -> Path:
    return lab.state / "testbed" / "servers"
