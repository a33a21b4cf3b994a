"""`doctor`: what this machine lacks, each thing with the command that mends it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.acceleration import KVM
from lab.cache import existing_parent
from lab.context import Lab
from lab.errors import MpsocksError
from lab.libvirt_host import EMBEDDED
from lab.runner import Runner

PACKAGES = Path(__file__).parent.parent / ".packages"
ROOM = 6 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` is a command, empty where all is well or nothing can be done."""

    subject: str
    ok: bool
    detail: str = ""
    remedy: str = ""
    needed: bool = True
    """Whether the lab cannot do without it."""


def examine(lab: Lab) -> list[Finding]:
    """Everything the lab needs of this machine, and whether it is there."""
    return [
        _root(),
        *_packages(),
        *_kernel_features(lab.host),
        forward_policy(lab.host),
        _libvirt(lab),
        _kvm(),
        _room(lab.cache.root),
    ]


def _root() -> Finding:
    return Finding("root", os.geteuid() == 0, "taps, nftables and namespaces take root", "sudo ./inv …")


def _packages() -> Iterator[Finding]:
    lines = [line.split("#")[0].split() for line in PACKAGES.read_text().splitlines()]
    for package, brings in (line for line in lines if line):
        there = Path(brings).exists() if brings.startswith("/") else shutil.which(brings) is not None
        yield Finding(f"package {package}", there, brings, f"apt-get install --no-install-recommends {package}")


def _kernel_features(host: Runner) -> Iterator[Finding]:
    tun = Path("/dev/net/tun").exists()
    yield Finding("kernel: tun", tun, "taps need CONFIG_TUN", "modprobe tun")
    # Each is asked in a network namespace that ends with the question.
    namespaces = host.probe("unshare", "--net", "true").ok
    yield Finding("kernel: network namespaces", namespaces, "CONFIG_NET_NS", "boot a kernel that has it")
    masquerade = "table inet t { chain c { type nat hook postrouting priority srcnat; masquerade; }; }"
    nat = host.probe("unshare", "--net", "nft", "-f", "-", stdin=masquerade).ok
    yield Finding("kernel: nftables with NAT", nat, "CONFIG_NFT_MASQ", "modprobe nft_masq nf_nat")
    rules = host.probe("unshare", "--net", "ip", "rule", "add", "from", "192.0.2.1", "lookup", "665").ok
    yield Finding("kernel: policy routing", rules, "CONFIG_IP_MULTIPLE_TABLES", "boot a kernel that has it")
    mptcp = host.probe("sysctl", "-n", "net.mptcp.enabled").stdout.strip()
    yield Finding(
        "kernel: MPTCP on the host", mptcp == "1", "only the emulated internet's servers need it",
        "sysctl -w net.mptcp.enabled=1", needed=False,
    )  # fmt: skip
    netem = host.probe("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms").ok
    yield Finding(
        "kernel: netem", netem, "without it the emulated internet has no delays", "modprobe sch_netem", needed=False
    )


def forward_policy(host: Runner) -> Finding:
    """A forward chain that drops by default, as docker and ufw have one, keeps the guest from getting out."""
    subject = "firewall lets forwarded packets through"
    ruleset = host.probe("nft", "-j", "list", "chains")
    if not ruleset.ok:
        return Finding(subject, True, "no nftables ruleset can be read", needed=False)
    chains = [item["chain"] for item in json.loads(ruleset.stdout)["nftables"] if "chain" in item]
    dropping = [c for c in chains if c.get("hook") == "forward" and c.get("policy") == "drop"]
    if not dropping:
        return Finding(subject, True)
    chain = " ".join(dropping[0][part] for part in ("family", "table", "name"))
    rules = ('iifname "mptcp*" accept', 'oifname "mptcp*" ct state established,related accept')
    remedy = "; ".join(f"nft 'insert rule {chain} {rule}'" for rule in rules)
    return Finding(subject, False, f"chain {chain} drops what no rule accepts", remedy, needed=False)


def _libvirt(lab: Lab) -> Finding:
    try:
        return Finding("libvirt", True, f"{lab.settings.uri}, version {lab.libvirt.version()}")
    except MpsocksError as error:
        install = "apt-get install --no-install-recommends libvirt-daemon-system"
        remedy = install if lab.settings.uri == EMBEDDED else "check the setting mpsocks.uri"
        return Finding("libvirt", False, error.why, remedy)


def _kvm() -> Finding:
    usable = os.access(KVM, os.R_OK | os.W_OK)
    detail = "whether a guest runs under it is tried at the first boot" if usable else "guests run under TCG, slower"
    return Finding("KVM", usable, detail, "" if usable else "enable virtualization in the firmware", needed=False)


def _room(folder: Path) -> Finding:
    existing = existing_parent(folder)
    free = shutil.disk_usage(existing).free
    return Finding(
        "disk room", free >= ROOM, f"{free >> 30} GiB free at {existing}, a first build wants {ROOM >> 30}",
        "free some, or set XDG_CACHE_HOME",
    )  # fmt: skip


def doctor_lines(findings: list[Finding]) -> list[str]:
    """The findings for a person: what is missing comes last, with what to do."""
    marks = {True: "✓", False: "✗"}
    lines = [
        f"{marks[f.ok] if f.needed or f.ok else '-'} {f.subject}" + (f" ({f.detail})" if f.detail else "")
        for f in findings
    ]
    needed = [f"{f.subject}: {f.remedy}" for f in findings if f.needed and not f.ok]
    useful = [f"{f.subject}: {f.remedy}" for f in findings if not f.needed and not f.ok]
    return [
        *lines,
        *(["", "to do:", *needed] if needed else ["", "this machine has all that is needed"]),
        *(["", "of use, not needed:", *useful] if useful else []),
    ]
