"""`check-neutrality`: measures uplinks from the guest, through the whole lab, and keeps what was measured."""

from __future__ import annotations

import dataclasses
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from guest.connection import Guest, guest
from lab.cache import make_folder
from lab.context import Lab
from lab.errors import BadInputError, MpsocksError
from lab.journal import Journal
from lab.plan import TapPlan, tap_plan
from lab.settings import split_list
from lab.standing import standing_uplinks
from traces.neutrality.json_form import measurement_as_json
from traces.neutrality.measuring import Aim, Extent, Tell, measure
from traces.neutrality.model import Arm, Measurement, TableRow, Target
from traces.neutrality.near import near_control
from traces.neutrality.prober.bundle import build_prober
from traces.neutrality.rows import Uplink, measure_table
from traces.neutrality.table import LINES
from traces.neutrality.targets import Wanted
from traces.neutrality.vantage import Vantage, ready

FOLDER = "neutrality"
PROBER = "/run/mpsocks-prober.pyz"
SEEDS = 1 << 32


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    uplinks: tuple[tuple[TapPlan, str], ...]
    targets: tuple[Wanted, ...]
    extent: Extent
    bulk_octets: int
    """Of the two large downloads of the table."""


def find_uplinks(lab: Lab, itf: str) -> tuple[tuple[TapPlan, str], ...]:
    """The uplinks of that comma-separated list, or all, each once; `MpsocksError` for one that is not set up."""
    standing: dict[str, TapPlan] = {}
    for plan, name in standing_uplinks(lab):
        standing.setdefault(name, plan)
    wanted = tuple(dict.fromkeys(split_list(itf))) or tuple(standing)
    if lab.host.dry:
        return tuple((standing.get(name, tap_plan(n)), name) for n, name in enumerate(wanted or ("UPLINK",)))
    missing = [name for name in wanted if name not in standing]
    if missing or not wanted:
        raise (BadInputError if standing else MpsocksError)(
            f"uplink {missing[0]} is not set up" if missing else "no uplink is set up",
            why=f"set up are: {', '.join(standing) or 'none'}",
            hint="start the lab with it: invoke boot-socks --itf wlp1s0,wlan1 --detach",
        )
    return tuple((standing[name], name) for name in wanted)


def check_neutrality(lab: Lab, plan: Plan) -> list[Measurement]:
    """Measure every uplink, one after the other, and write each measurement beside its captures."""
    # All names before the first uplink: one that does not resolve is known before anything is done.
    families = {tap.guest.version for tap, _ in plan.uplinks}
    aims = {family: [wanted.resolved(lab.host, family) for wanted in plan.targets] for family in families}
    found = []
    with guest(lab) as inside:
        _deploy(lab, inside)
        for tap, name in plan.uplinks:
            uplink = Uplink(lab, name, _vantage(lab, inside, tap), folder_of(lab, name))
            with lab.progress.stage(f"measuring {name}") as stage:
                found.append(_measure_uplink(uplink, tap, aims[tap.guest.version], plan, stage.tell))
            _keep(lab, found[-1])  # what took minutes is not lost when a later uplink fails
    found = [known_speakers(one, found) for one in found]
    for measurement in found:
        _keep(lab, measurement)
    return found


def _keep(lab: Lab, measurement: Measurement) -> None:
    if not lab.host.dry:
        text = json.dumps(measurement_as_json(measurement), indent=1)
        (folder_of(lab, measurement.uplink) / "measurement.json").write_text(text + "\n")


def folder_of(lab: Lab, uplink: str) -> Path:
    """Where the captures, the measurement and the report of an uplink are kept."""
    return lab.state / FOLDER / uplink


def known_speakers(measurement: Measurement, all_of_them: list[Measurement]) -> Measurement:
    """What is known of targets from all uplinks together: who answered MPTCP once over any of them speaks it."""
    speakers = {target.name for one in all_of_them for target in one.targets if _answered_mptcp(target)}
    targets = tuple(
        dataclasses.replace(target, speaks_mptcp=True)
        if target.speaks_mptcp is None and target.name in speakers
        else target
        for target in measurement.targets
    )
    return dataclasses.replace(measurement, targets=targets)


def _answered_mptcp(target: Target) -> bool:
    return any(probe.arm is Arm.V1 and probe.reply is not None and probe.reply.mptcp for probe in target.probes)


def _measure_uplink(uplink: Uplink, tap: TapPlan, aims: list[Aim], plan: Plan, tell: Tell) -> Measurement:
    vantage = uplink.vantage
    with ready(vantage), near_control(uplink.lab, tap) as near:
        short, bulk = for_table(aims)
        rows = measure_table(uplink, short, bulk, plan.bulk_octets, tell)
        targets = [measure(vantage, aim, plan.extent, secrets.randbelow(SEEDS), tell) for aim in aims]
        near.keep_up_with(targets)
        targets.append(measure(vantage, near.aim, plan.extent, secrets.randbelow(SEEDS), tell))
    with_table = [
        dataclasses.replace(target, table=rows) if target.name == short.name else target for target in targets
    ]
    return Measurement(uplink.name, ttl_offset(rows), tuple(with_table))


def ttl_offset(rows: tuple[TableRow, ...]) -> int:
    """How much of the TTL is lost before the uplink: what was sent with is known, and the capture shows the rest."""
    sent = {line.name: line.ttl for line in LINES}
    offsets = {sent[row.name] - row.syn_ttl for row in rows}
    if len(offsets) > 1:
        raise MpsocksError(
            "the TTLs on the uplink do not follow those of the guest",
            why=", ".join(f"{row.name}: {sent[row.name]} sent, {row.syn_ttl} seen" for row in rows),
            hint="look for a rule on the lab host that sets the TTL: nft list ruleset",
        )
    return offsets.pop() if offsets else 1


def for_table(aims: list[Aim]) -> tuple[Aim, Aim]:
    """Where the short and the large downloads of the table go: servers that speak MPTCP, two where there are two."""
    speakers = [aim for aim in aims if aim.speaks_mptcp] or [aim for aim in aims if aim.speaks_mptcp is None] or aims
    return speakers[0], speakers[min(1, len(speakers) - 1)]


def _vantage(lab: Lab, inside: Guest, tap: TapPlan) -> Vantage:
    journal = Journal(lab.state / FOLDER / "guest", inside.runner)
    return Vantage(inside.runner, ("python3", "-I", "-S", PROBER), tap.tap, tap.guest.ip, journal)


def _deploy(lab: Lab, inside: Guest) -> None:
    local = lab.state / FOLDER / "prober.pyz"
    if not lab.host.dry:
        make_folder(local.parent, 0o700)
        build_prober(local)
    inside.put(local, PROBER)
