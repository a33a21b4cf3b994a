"""Every task: that it is there, that it is explained, that --dry changes nothing, and that bad input is refused."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from invoke.context import Context
from invoke.tasks import Task

from images.build import DISK_NAME
from images.build import KIND as IMAGES
from kernel.build import IMAGE_NAME
from kernel.build import KIND as KERNELS
from kernel.stock import StockRecipe
from lab.parts import image_recipe, kernel_recipe
from lab.runner import Runner
from tests.conftest import lab_on, namespace_name, namespaces
from tests.invoking import ROOT, Ended, invoke
from tests.lab.host_state import network_state, wait_for_links

NAMES = [
    "build-image",
    "build-kernel",
    "install-vm-extra",
    "boot-vm",
    "shutdown-vm",
    "ssh-vm",
    "configure-host-tap",
    "clean-host-tap",
    "configure-host-nat",
    "clean-host-nat",
    "configure-host-source-routing",
    "clean-host-source-routing",
    "configure-guest-nw",
    "run-socks",
    "run-socksifier",
    "check-mptcp",
    "check-neutrality",
    "boot-socks",
    "clean",
    "status",
    "doctor",
    "testbed-up",
    "testbed-exec",
    "testbed-down",
    "demo",
    "make-reference",
    "capture",
    "mptcptrace",
    "build-dissector",
    "install-dissector",
    "fuzz",
    "bench-codec",
    "bench-proxy",
    "bench-neutrality",
    "bench-traces",
    "test",
]
NAMESPACE = importlib.import_module("tasks").namespace
TASKS: dict[str, Task] = dict(NAMESPACE.tasks)  # type: ignore[type-arg]


class TestHelp:
    def test_every_task_is_there_under_its_name(self) -> None:
        assert sorted(NAMESPACE.task_names) == sorted(NAMES)

    @pytest.mark.parametrize("name", NAMES)
    def test_each_has_help_for_itself_and_every_option(self, name: str) -> None:
        task = TASKS[name]
        summary, _, _ = (task.__doc__ or "").partition("\n")
        assert summary.endswith(".")
        assert summary[0].isupper()
        for argument in task.get_arguments():
            assert argument.help, f"{name} --{argument.name} is not explained"
            assert argument.help.endswith("."), f"{name} --{argument.name}: {argument.help}"

    @pytest.mark.slow
    def test_invoke_itself_lists_them(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "invoke", "--list", "--list-format", "json"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert sorted(task["name"] for task in json.loads(done.stdout)["tasks"]) == sorted(NAMES)


State = tuple[dict[str, list[str]], list[str]]


@dataclass(frozen=True)
class World:
    """A lab host in a namespace, with two uplinks, and one interface that is none; an image and kernels are built."""

    host: Runner
    folder: Path

    def invoke(self, *arguments: str) -> Ended:
        return invoke(*arguments, namespace=namespace_name(self.host), folder=self.folder)

    def state(self) -> State:
        """The host's network, and every file below state and cache but for locks, which say nothing."""
        files = [str(path) for path in self.folder.rglob("*") if path.is_file() and "lock" not in path.name]
        return network_state(self.host), sorted(files)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of this module: each of them leaves it as it was."""
    folder = tmp_path_factory.mktemp("tasks")
    links: list[str] = []
    for name, address, gateway in (("wlp1s0", "192.168.1.21", "192.168.1.1"), ("wlan1", "10.9.0.2", "10.9.0.1")):
        links += [
            f"link add {name} type veth peer name {name}-far",
            f"address add {address}/24 dev {name}",
            f"link set dev {name}-far up",
            f"link set dev {name} up",
            f"route add default via {gateway} dev {name} metric {100 + len(links)}",
        ]
    links += ["link add bare type veth peer name bare-far", "link set dev bare-far up", "link set dev bare up"]
    links += ["address add 192.168.7.2/24 dev bare"]
    with namespaces() as make:
        host = make()
        host.change("ip", "-batch", "-", stdin="\n".join(links))
        wait_for_links(host, "wlp1s0", "wlan1", "bare")
        pretend_built(folder)
        yield World(host, folder)


@pytest.fixture(scope="class")
def before(world: World) -> State:
    """As it was before the tests of a class, of which each leaves it like that."""
    return world.state()


def pretend_built(folder: Path) -> None:
    """Put empty images and kernels into the cache, so that nothing has to be fetched and built."""
    lab = lab_on(Runner(Context()), folder)
    for extra in (False, True):
        with lab.cache.building(IMAGES, image_recipe(lab, extra=extra).key()) as entry:
            (entry / DISK_NAME).touch()
    for key in (kernel_recipe(lab.settings.image, lab.settings.kernel).key(), StockRecipe().key()):
        with lab.cache.building(KERNELS, key) as entry:
            (entry / IMAGE_NAME).touch()


UP = ("--itf", "wlp1s0,wlan1")
PAGE = ("--page-url", "http://203.0.113.10/")  # no name, since nobody here would answer what it is
TARGETS = ("--target", "203.0.113.10:80/file=mptcp", "--target", "203.0.113.138:80=tcp")
DRY = [
    ("build-image",),
    ("install-vm-extra", "--json"),
    ("build-kernel",),
    ("build-kernel", "--stock"),
    ("configure-host-tap", "0"),
    ("clean-host-tap", "0"),
    ("configure-host-nat", "0", "wlp1s0"),
    ("clean-host-nat", "0"),
    ("configure-host-source-routing", "0", "wlp1s0"),
    ("configure-host-source-routing", "0", "bare", "--gateway", "192.168.7.1"),
    ("clean-host-source-routing", "0"),
    ("boot-vm", "--taps", "2"),
    ("boot-vm", "--extra", "--cold"),
    ("shutdown-vm",),
    ("ssh-vm",),
    ("ssh-vm", "--command", "uname -r"),
    ("configure-guest-nw",),
    ("run-socks",),
    ("run-socks", "--server", "dante"),
    ("run-socks", "--server", "ssh"),
    ("run-socksifier",),
    ("run-socksifier", "--server", "redsocks"),
    ("boot-socks", *UP),
    ("boot-socks", *UP, "--server", "dante", "--socksifier", "redsocks", "--detach", "--json"),
    ("boot-socks", *UP, "--stock"),
    ("check-mptcp", *PAGE),
    ("check-mptcp", *PAGE, "--bulk-url", "http://203.0.113.11/bytes/20M", "--json"),
    ("check-neutrality", "--itf", "wlan1", *TARGETS, "--bytes", "2M", "--json"),
    ("status",),
    ("status", "--json"),
    ("clean",),
    ("doctor",),
    ("testbed-up",),
    ("testbed-exec", "--", "ip", "address"),
    ("testbed-down",),
    ("demo",),
    ("make-reference",),
    ("capture", *UP, "--filter", "tcp port 80", "--for", "30s", "--", "curl", "http://203.0.113.10/"),
    ("capture", *UP, "--guest", "--server", "--json", "--keep"),
    ("mptcptrace", "--file", "tests/captures/v1/v1_single.wlan.pcap"),
    ("mptcptrace", "--file", "tests/captures/v1/v1_single.wlan.pcap", "--out", "/nowhere/plots", "--plot", "seq"),
    ("build-dissector",),
    ("install-dissector",),
    ("fuzz",),
    ("bench-codec",),
    ("bench-proxy",),
    ("bench-neutrality", "--box", "stripping,clean"),
    ("bench-traces",),
    ("test", "--fast"),
]


@pytest.mark.netns
class TestDryRuns:
    @pytest.mark.slow
    @pytest.mark.parametrize("arguments", DRY, ids=" ".join)
    def test_nothing_is_changed(self, world: World, before: State, arguments: tuple[str, ...]) -> None:
        ended = world.invoke("--dry", *arguments)
        assert "Traceback" not in ended.err
        assert ended.exit_code == 0, ended.err
        assert world.state() == before

    def test_every_task_is_tried(self) -> None:
        assert {arguments[0] for arguments in DRY} == set(NAMES)

    def test_what_boot_socks_would_do_is_printed_ready_to_paste(self, world: World) -> None:
        printed = world.invoke("--dry", "boot-socks", *UP).out
        for command in (
            "tuntap add dev mptcp1 mode tap",
            "sysctl -q -w net/ipv4/conf/wlan1/forwarding=1",
            "ip -4 route add default via 10.9.0.1 dev wlan1 table 666",
            "ip -4 rule add from 10.66.7.2 lookup 666 priority 666",
            "virsh -c 'test:///default' create /dev/stdin <<'XML'",
            "systemctl restart mpsocks-proxy mpsocks-socksifier",
        ):
            assert command in printed

    def test_what_check_mptcp_would_do_is_printed_also_without_a_lab(self, world: World) -> None:
        printed = world.invoke("--dry", "check-mptcp", *PAGE).out
        for command in (
            "UPLINK.pcap.log",
            "tcp and port 80 and (host 203.0.113.10)",
            "--socks5-hostname 10.66.6.2:6666 --output /dev/null -- http://203.0.113.10/",
            "ip -4 route add 203.0.113.10/32 via 10.66.6.2 table main",
            "--resolve 203.0.113.10:80:203.0.113.10",
        ):
            assert command in printed

    def test_what_check_neutrality_would_do_is_printed(self, world: World) -> None:
        printed = world.invoke("--dry", "check-neutrality", "--itf", "wlan1", *TARGETS).out
        for command in (
            "table inet mpsocks_prober",
            "sysctl -q -w net/mptcp/blackhole_timeout=0",
            "ip daddr 203.0.113.10 tcp dport 80 ip ttl set 10",
            "mptcp_100MB.pcap",
            "prober.pyz syns --source 10.66.6.2 --target 203.0.113.10 --port 80",
            "prober.pyz syns --source 10.66.6.2 --target 203.0.113.138 --port 80",
            "prober.pyz pairs --source 10.66.6.2 --target 203.0.113.10 --port 80",
        ):
            assert command in printed

    def test_what_capture_would_do_is_printed(self, world: World) -> None:
        printed = world.invoke("--dry", "capture", *UP, "--guest", "--filter", "tcp", "--for", "9s").out
        for command in (
            "wlp1s0.pcap tcp 128 8192",
            "ssh -F none",
            "(tcp) and not (tcp and host 10.66.6.1 and host 10.66.6.2 and (port 22 or port 2222))",
            "sleep 9",
            "# then wlp1s0.pcap, wlan1.pcap, guest.mptcp0.pcap are merged into",
        ):
            assert command in printed

    def test_a_tap_can_be_made_from_what_is_printed(self, world: World) -> None:
        printed = world.invoke("--dry", "configure-host-tap", "3").out
        world.host.change("sh", "-c", printed)
        world.host.change("ip", "link", "delete", "mptcp3")


TRACE = ("mptcptrace", "--file", "tests/captures/v1/v1_single.wlan.pcap")
BAD = [
    (("configure-host-tap", "9"), "there is no tap 9"),
    (("configure-host-tap", "one"), "n is 'one'"),
    (("configure-host-nat", "0", "wlp2s0"), "there is no interface 'wlp2s0'"),
    (("configure-host-nat", "0", "wlp1s0"), "there is no tap mptcp0"),
    (("configure-host-source-routing", "0", "bare"), "interface bare has no default route"),
    (("configure-host-source-routing", "0", "wlp1s0", "--gateway", "10.0.0.1"), "gateway 10.0.0.1 cannot be reached"),
    (("configure-host-source-routing", "0", "wlp1s0", "--gateway", "router"), "the gateway is not an address"),
    (("boot-socks", "--itf", "wlp1s0,wlp2s0"), "there is no interface 'wlp2s0'"),
    (("boot-socks", "--itf", "wlp1s0,bare"), "interface bare has no default route"),
    (("boot-socks", "--itf", ","), "no uplink was named"),
    (("boot-socks", "--itf", "wlp1s0", "--server", "squid"), "--server is 'squid'"),
    (("boot-socks", "--itf", "wlp1s0", "--socksifier", "squid"), "--socksifier is 'squid'"),
    (("boot-socks", "--itf", "wlp1s0,wlan1", "--gateway", "192.168.1.1"), "1 gateways for 2 uplinks"),
    (("boot-socks", "--itf", ",".join(["wlp1s0"] * 9)), "there is no tap 8"),
    (("boot-vm", "--taps", "many"), "--taps is 'many'"),
    (("boot-vm", "--taps", "0"), "no uplink was named"),
    (("boot-vm", "--taps", "1"), "there is no tap mptcp0"),
    (("boot-vm",), "no tap is set up"),
    (("configure-guest-nw",), "no tap is set up"),
    (("run-socks", "--server", "squid"), "--server is 'squid'"),
    (("run-socksifier", "--server", "dante"), "--server is 'dante'"),
    (("check-mptcp",), "no uplink is set up"),
    (("check-mptcp", "--page-url", "mptcp.test"), "'mptcp.test' is not a URL"),
    (("check-mptcp", "--bulk-url", "http://[::1/"), "'http://[::1/' is not a URL"),
    (("check-neutrality",), "0 targets are too few"),
    (("check-neutrality", "--target", "mptcp.test"), "'mptcp.test' is not a target"),
    (("check-neutrality", *TARGETS), "no uplink is set up"),
    (("check-neutrality", *TARGETS, "--bytes", "much"), "--bytes is 'much'"),
    (("check-neutrality", *TARGETS, "--bytes", "0"), "--bytes is 0"),
    (("check-neutrality", *TARGETS, "--pairs", "2"), "--pairs is 2"),
    (("check-neutrality", *TARGETS, "--repeats", "many"), "--repeats is 'many'"),
    (("mptcptrace", "--file", "tests/captures/truth.json"), "is not a capture file that is understood"),
    (("mptcptrace", "--file", "tests/captures"), "there is no capture in tests/captures"),
    ((*TRACE, "--ip-offset", "-1"), "--ip-offset is '-1'"),
    ((*TRACE, "--plot", "seq"), "there is no folder for the plots"),
    ((*TRACE, "--out", "tests/captures"), "tests/captures has files in it"),
    ((*TRACE, "--out", "nowhere", "--plot", "seq,ack"), "--plot is 'ack'"),
    ((*TRACE, "--out", "nowhere", "--format", "gif"), "--format is 'gif'"),
    ((*TRACE, "--out", "nowhere", "--interval", "soon"), "--interval is 'soon'"),
    ((*TRACE, "--out", "nowhere", "--points", "1"), "--points is '1'"),
    ((*TRACE, "--out", "nowhere", "--connection", "7"), "there is no MPTCP connection 7"),
    (("build-image", "--suite", "no suite"), "'no suite'"),
    (("build-image", "--snapshot", "yesterday"), "'yesterday' is not a snapshot date"),
    (("build-kernel", "--source", "nowhere"), "'nowhere'"),
    (("build-kernel", "--fragment", "missing.config"), "missing.config"),
    (("bench-neutrality", "--runs", "0"), "--runs is 0"),
    (("bench-neutrality", "--box", "clean,odd"), "--box is 'odd'"),
    (("bench-traces", "--packets", "5"), "5 packets and 3 rounds are too few"),
    (("testbed-exec", "--", "true"), "there is no emulated internet"),
    (("capture", "--itf", "wlp1s0,wlp2s0"), "this host has no interface 'wlp2s0'"),
    (("capture",), "no interface was named"),
    (("capture", *UP, "--filter", "tcp prot 80"), "tcpdump does not understand the filter 'tcp prot 80'"),
    (("capture", *UP, "--for", "soon"), "--for is 'soon'"),
    (("capture", *UP, "--snaplen", "0"), "--snaplen is 0"),
    (("capture", *UP, "--buffer", "much"), "--buffer is 'much'"),
    (("capture", *UP, "--out", "traces"), "traces is there already"),
    (("capture", *UP, "--guest"), "no tap is set up"),
    (("capture", *UP, "--server"), "there is no server to capture on"),
    (("capture", *UP, "--", "no-such-command"), "there is no command 'no-such-command'"),
]


@pytest.mark.netns
class TestBadInput:
    @pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
    def test_it_is_refused_with_what_to_do_and_the_host_as_it_was(
        self, world: World, before: State, arguments: tuple[str, ...], said: str
    ) -> None:
        ended = world.invoke(*arguments)
        assert ended.exit_code not in (0, None)
        assert said in ended.err
        assert ended.err.count("error: ") == 1
        assert "  do:   " in ended.err
        assert "Traceback" not in ended.err
        assert world.state() == before

    @pytest.mark.parametrize("arguments", [(), ("--page-url", "mptcp.test")], ids=["no lab", "no URL"])
    def test_an_error_of_check_mptcp_is_no_verdict(self, world: World, arguments: tuple[str, ...]) -> None:
        ended = world.invoke("check-mptcp", *arguments, "--json")
        assert ended.exit_code == 3
        told = json.loads(ended.out)["error"]
        assert f"error: {told['what']}" in ended.err
        assert told["hint"] in ended.err

    def test_a_setting_that_is_wrong_is_refused_by_every_task(self, world: World) -> None:
        settings = world.folder / ".invoke.yaml"
        settings.write_text("mpsocks: {guest: {memry: 512}}\n")
        ended = world.invoke("status")
        settings.unlink()
        assert ended.exit_code == 2
        assert "did you mean mpsocks.guest.memory?" in ended.err


@pytest.mark.netns
class TestHostTasks:
    """The tasks on the host's network, one by one, as the origin project has them."""

    @pytest.mark.slow
    def test_they_make_and_take_back(self, world: World) -> None:
        before = network_state(world.host)
        for arguments in (
            ("configure-host-tap", "0"),
            ("configure-host-nat", "0", "wlp1s0"),
            ("configure-host-source-routing", "0", "wlp1s0"),
        ):
            assert world.invoke(*arguments).exit_code == 0
        status = world.invoke("status").out
        assert "mptcp0 → wlp1s0" in status
        assert "✗" not in status
        for task in ("clean-host-source-routing", "clean-host-nat", "clean-host-tap"):
            assert world.invoke(task, "0").exit_code == 0
        assert network_state(world.host) == before

    @pytest.mark.slow
    def test_clean_takes_back_all_of_it(self, world: World) -> None:
        before = network_state(world.host)
        ended = world.invoke("configure-host-tap", "0", "configure-host-tap", "1", "configure-host-nat", "1", "wlan1")
        assert ended.exit_code == 0
        assert "6 changes taken back" in world.invoke("clean").out
        assert network_state(world.host) == before
