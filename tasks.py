"""Every task of mpsocks: each reads its options, calls one function, and prints what came of it."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.exceptions import Exit

from guest.boot import boot
from guest.connection import USER, guest, guest_address, ssh_options
from guest.lifecycle import boot_socks as bring_up
from guest.lifecycle import find_uplinks, guest_nameservers, require_taps, take_down, wait_for_interrupt
from guest.network import configure_network
from guest.services import Socksifier, SocksServer
from guest.start import run_socks as start_socks
from guest.start import run_socksifier as start_socksifier
from lab import host_network, vm
from lab.context import Lab
from lab.doctor import doctor_lines, examine
from lab.parts import guest_image, guest_kernel, with_options
from lab.plan import tap_plan, tap_plans
from lab.settings import defaults, split_list
from lab.standing import status as read_status
from lab.tasking import amount, choice, command_line, conclude, duration, lab_task, number, replace_process, report
from lab.testbed import session
from tests.codec.benchmark import run_bench
from tests.fuzzing.campaign import run_fuzz
from tests.fuzzing.subject import SUBJECTS, What
from tests.proxy.bench.run import run_bench_proxy
from tests.run import run_tests
from tests.traces.bench.run import run_bench_traces
from traces.capturing.request import Request as CaptureRequest
from traces.capturing.run import CAPTURE_FAILED, run_capture
from traces.checking.check import check, rehearse
from traces.checking.request import make_request
from traces.checking.verdict import ERROR_CODE
from traces.demo import run_demo
from traces.dissector import build_dissector as render_dissector
from traces.dissector import install_dissector as add_dissector
from traces.mptcp.form import as_json, as_lines
from traces.neutrality.asking import ask
from traces.neutrality.bench import boxes_named, run_bench_neutrality
from traces.neutrality.check import check_neutrality as measure_uplinks
from traces.neutrality.outcome import judge_all
from traces.products.wanted import OPTIONS as PLOTS
from traces.products.wanted import read_wanted
from traces.products.write import write_products
from traces.reference.make import make_reference as make_reference_captures
from traces.summary import parse_files, parse_offset, read_trace

JSON = {"json": "Print the report as JSON."}
N = {"n": "Number of the tap and guest interface, 0 to 7."}
ITF = {"itf": "Uplinks, separated by commas: interfaces of this host with a default route. One may be named twice."}
GATEWAY = {"gateway": "Gateway of the uplink (one for each, separated by commas) instead of the default route's."}
IMAGE = {
    "suite": "Debian suite of the guest.",
    "mirror": "URL of the Debian archive; by default this host's own.",
    "snapshot": "Date of the packages, as 20260101T000000Z; by default today's.",
}
PARTS = {
    "stock": "Boot Debian's packaged cloud kernel.",
    "cold": "Boot, even if a saved guest could be restored.",
}
SERVER = {"server": "mpsocks, dante, or ssh (ssh -D on this host's loopback)."}
SOCKSIFIER = {"server": "mpsocks or redsocks."}


@lab_task(help={**IMAGE, **JSON})
def build_image(lab: Lab, suite: str = "", mirror: str = "", snapshot: str = "", json: bool = False) -> None:
    """Build the guest's Debian image, or take it from the cache."""
    lab = with_options(lab, image={"suite": suite, "mirror": mirror, "snapshot": snapshot})
    image = guest_image(lab)
    report({"path": str(image.path), "key": image.key}, [f"image: {image.path}"], json)


@lab_task(help={**IMAGE, **JSON})
def install_vm_extra(lab: Lab, suite: str = "", mirror: str = "", snapshot: str = "", json: bool = False) -> None:
    """Build the image with dante, redsocks and mptcpize in it (the guest itself has no way to install anything)."""
    lab = with_options(lab, image={"suite": suite, "mirror": mirror, "snapshot": snapshot})
    image = guest_image(lab, extra=True)
    report({"path": str(image.path), "key": image.key}, [f"image: {image.path}"], json)


@lab_task(help={
    "source": "Kernel source: a directory, a tarball or a git URL; by default the suite's linux-source package.",
    "sha256": "SHA-256 of the tarball.",
    "ref": "Branch, tag or commit of the git repository.",
    "fragment": "Further configuration fragments, separated by commas.",
    "stock": "Take Debian's packaged cloud kernel instead of building one.",
    **JSON,
})  # fmt: skip
def build_kernel(
    lab: Lab, source: str = "", sha256: str = "", ref: str = "", fragment: str = "", stock: bool = False,
    json: bool = False,
) -> None:  # fmt: skip
    """Build the guest's MPTCP kernel, or take it from the cache."""
    chosen = {"source": source, "sha256": sha256, "ref": ref, "fragments": fragment, "stock": stock}
    kernel = guest_kernel(with_options(lab, kernel=chosen))
    lines = [f"kernel: {kernel.image} ({kernel.release})"]
    report({"path": str(kernel.image), "release": kernel.release, "key": kernel.key}, lines, json)


@lab_task(alone=True, positional=["n"], help=N)
def configure_host_tap(lab: Lab, n: str) -> None:
    """Make tap mptcp<n> with its address."""
    host_network.configure_tap(lab.journal, tap_plan(number(n, "n")))


@lab_task(alone=True, positional=["n"], help=N)
def clean_host_tap(lab: Lab, n: str) -> None:
    """Remove tap mptcp<n>."""
    lab.journal.undo(host_network.tap_scope(tap_plan(number(n, "n"))))


@lab_task(alone=True, positional=["n", "itf"], help={**N, "itf": "The uplink."})
def configure_host_nat(lab: Lab, n: str, itf: str) -> None:
    """Let guest interface n out over an uplink, behind that uplink's address."""
    plan = tap_plan(number(n, "n"))
    host_network.configure_nat(lab.journal, plan, itf)


@lab_task(alone=True, positional=["n"], help=N)
def clean_host_nat(lab: Lab, n: str) -> None:
    """Remove the NAT of guest interface n."""
    lab.journal.undo(host_network.nat_scope(tap_plan(number(n, "n"))))


@lab_task(alone=True, positional=["n", "itf"], help={**N, "itf": "The uplink.", **GATEWAY})
def configure_host_source_routing(lab: Lab, n: str, itf: str, gateway: str = "") -> None:
    """Send what comes from guest interface n over an uplink, by table 665+n."""
    plan = tap_plan(number(n, "n"))
    (uplink,) = find_uplinks(lab, (itf,), gateway)
    host_network.configure_source_routing(lab.journal, plan, uplink)


@lab_task(alone=True, positional=["n"], help=N)
def clean_host_source_routing(lab: Lab, n: str) -> None:
    """Remove the rule and the routing table of guest interface n."""
    lab.journal.undo(host_network.routing_scope(tap_plan(number(n, "n"))))


@lab_task(alone=True, help={
    "taps": "Number of taps to attach, from mptcp0 on; by default those that stand.",
    "extra": "Boot the image that install-vm-extra makes.",
    **PARTS,
    **JSON,
})  # fmt: skip
def boot_vm(
    lab: Lab, taps: str = "", extra: bool = False, stock: bool = False, cold: bool = False, json: bool = False
) -> None:
    """Boot the guest on the taps that were made, and wait until one can log in."""
    plans = tap_plans(number(taps, "--taps")) if taps else require_taps(lab)
    lab = with_options(lab, kernel={"stock": stock})
    booted = boot(lab, guest_image(lab, extra=extra), guest_kernel(lab), plans, cold=cold)
    report(dataclasses.asdict(booted), booted.lines(), json)


@lab_task(alone=True)
def shutdown_vm(lab: Lab) -> None:
    """End the guest and drop its disk."""
    vm.stop(lab)


@lab_task(help={"command": "Run this in the guest instead of a shell."})
def ssh_vm(lab: Lab, command: str = "") -> None:
    """Log in to the guest."""
    argv = ["ssh", *ssh_options(lab), f"{USER}@{guest_address()}", *([command] if command else [])]
    replace_process(argv, lab.host.dry)


@lab_task(alone=True)
def configure_guest_nw(lab: Lab) -> None:
    """Give the guest its addresses, a routing table per address, MPTCP endpoints and name servers."""
    plans = require_taps(lab)
    with guest(lab) as inside:
        configure_network(inside, plans, guest_nameservers(lab))


@lab_task(alone=True, help=SERVER)
def run_socks(lab: Lab, server: str = "mpsocks") -> None:
    """Run a SOCKS server in the guest, in place of whichever ran before."""
    chosen = choice(server, SocksServer, "--server")
    with guest(lab) as inside:
        print("SOCKS server:", start_socks(lab, inside, chosen, require_taps(lab)))


@lab_task(alone=True, help=SOCKSIFIER)
def run_socksifier(lab: Lab, server: str = "mpsocks") -> None:
    """Take TCP connections that are routed through the guest out over MPTCP."""
    chosen = choice(server, Socksifier, "--server")
    with guest(lab) as inside:
        start_socksifier(inside, chosen, require_taps(lab))
    print("route through:", guest_address())


@lab_task(help={
    **ITF, **GATEWAY, **SERVER, **PARTS, **JSON,
    "socksifier": "mpsocks or redsocks.",
    "detach": "Return when all is up, instead of waiting for ^C and cleaning.",
})  # fmt: skip
def boot_socks(
    lab: Lab, itf: str, gateway: str = "", server: str = "mpsocks", socksifier: str = "mpsocks", stock: bool = False,
    cold: bool = False, detach: bool = False, json: bool = False,
) -> None:  # fmt: skip
    """Bring up everything: taps, NAT, routing, the guest, its network, the SOCKS server and the socksifier."""
    lab = with_options(lab, kernel={"stock": stock})
    chosen = choice(server, SocksServer, "--server"), choice(socksifier, Socksifier, "--socksifier")
    stays = detach or lab.host.dry
    with lab.exclusive():
        running = bring_up(lab, itf, gateway, *chosen, cold=cold)
    try:
        report(running.as_json(), running.lines(), json)
        if not stays:
            print("^C ends and cleans", file=sys.stderr)
            wait_for_interrupt()
    finally:
        if not stays:
            with lab.exclusive():
                take_down(lab, itf)


@lab_task(alone=True, error_code=ERROR_CODE, help={
    "page-url": "A page that says whether it was fetched over MPTCP.",
    "bulk-url": "A file of some megabytes on a server that speaks MPTCP.",
    "bulk-sha256": "The file's SHA-256.",
    **JSON,
})  # fmt: skip
def check_mptcp(lab: Lab, page_url: str = "", bulk_url: str = "", bulk_sha256: str = "", json: bool = False) -> None:
    """Check that connections through the guest are MPTCP over every uplink: 0 yes, 1 no, 2 not proven, 3 an error."""
    request = make_request(lab, {"page_url": page_url, "bulk_url": bulk_url, "bulk_sha256": bulk_sha256})
    if lab.host.dry:
        rehearse(lab, request)
        return
    verdict = check(lab, request)
    conclude(verdict, json)


@lab_task(alone=True, iterable=["target"], help={
    "itf": "Uplinks of the lab, separated by commas; by default all that are set up.",
    "target": "HOST:PORT or HOST:PORT/PATH of a large file, with =mptcp or =tcp if known. Give it twice or more.",
    "bytes": "Of each of the two large downloads of the table, as 100M.",
    "pairs": "Paired downloads from each target.",
    "repeats": "SYNs of each kind at each TTL that matters.",
    **JSON,
})  # fmt: skip
def check_neutrality(
    lab: Lab, target: list[str], itf: str = "", bytes: str = "100M", pairs: str = "10", repeats: str = "5",
    json: bool = False,
) -> None:  # fmt: skip
    """Tell what each uplink does to MPTCP: SYNs of four kinds over all TTLs, paired downloads, the table of TTLs."""
    plan = ask(lab, itf, target, size=bytes, pairs=pairs, repeats=repeats)
    outcome = judge_all(lab, measure_uplinks(lab, plan))
    if not lab.host.dry:
        report(outcome.as_json(), outcome.lines(), json)


@lab_task(help=JSON)
def status(lab: Lab, json: bool = False) -> None:
    """Tell what stands: every change made to this host, the uplinks, and the guest."""
    found = read_status(lab)
    report(found.as_json(), found.lines(), json)


@lab_task(alone=True)
def clean(lab: Lab) -> None:
    """Put this host back as it was, whatever was made and however it ended."""
    print(f"{session.clean_everything(lab)} changes taken back")


@lab_task(root=False, help=JSON)
def doctor(lab: Lab, json: bool = False) -> None:
    """Name what this machine lacks, each with the command that mends it."""
    findings = examine(lab)
    report([dataclasses.asdict(finding) for finding in findings], doctor_lines(findings), json)
    if any(finding.needed and not finding.ok for finding in findings):
        raise Exit(code=1)


@lab_task(alone=True, help={"interception": "Have the mobile ISP answer plain TCP itself, and pass MPTCP slower."})
def testbed_up(lab: Lab, interception: bool = False) -> None:
    """Build the emulated internet: a lab host with uplinks wlp1s0 and wlan1, two ISPs, servers."""
    session.testbed_up(with_options(lab, testbed={"interception": interception}))
    print("run commands on its lab host: invoke testbed-exec -- COMMAND")


@lab_task()
def testbed_exec(lab: Lab) -> None:
    """Run a command as if on the emulated lab host: testbed-exec -- COMMAND [ARGUMENT …]."""
    replace_process(session.exec_argv(lab, list(command_line() or ("bash",))), lab.host.dry)


@lab_task(alone=True)
def testbed_down(lab: Lab) -> None:
    """Remove the emulated internet, with the lab inside."""
    print(f"{session.testbed_down(lab)} changes taken back")


@lab_task(alone=True, help={"cold": PARTS["cold"], "keep": "Leave the emulated internet and the lab up.", **JSON})
def demo(lab: Lab, cold: bool = False, keep: bool = False, json: bool = False) -> None:
    """Show it all in the emulated internet: build, boot, check MPTCP over two uplinks, clean up."""
    result = run_demo(lab, cold=cold, keep=keep)
    conclude(result, json)


@lab_task(alone=True, help={"output": "Folder for them; by default traces/reference."})
def make_reference(lab: Lab, output: str = "") -> None:
    """Make the reference captures anew in the emulated internet: downloads over two uplinks, the table of TTLs."""
    for path in make_reference_captures(lab, Path(output) if output else None):
        print(path)


@lab_task(error_code=CAPTURE_FAILED, help={
    "itf": "Interfaces to capture on, separated by commas; by default the uplinks that are set up.",
    "filter": "Packets to capture, as pcap-filter(7) has it; by default all.",
    "for_": "How long, such as 30s or 2m; by default until the command ends, or ^C.",
    "guest": "Capture on the guest's interfaces too.",
    "server": "Capture on the emulated internet's web servers too.",
    "snaplen": "Octets to keep of each packet.",
    "buffer": "MiB that the kernel may hold for each interface until they are written.",
    "out": "The run's folder, new or empty; by default one named by the time, in the state folder.",
    "keep": "Keep each interface's own capture and tcpdump's words beside the merged file.",
    **JSON,
})  # fmt: skip
def capture(
    lab: Lab, itf: str = "", filter: str = "", for_: str = "", guest: bool = False, server: bool = False,
    snaplen: str = "128", buffer: str = "8", out: str = "", keep: bool = False, json: bool = False,
) -> None:  # fmt: skip
    """Capture on uplinks while a command runs: capture --itf A,B -- COMMAND [ARGUMENT …]; its exit code is ours."""
    request = CaptureRequest(
        split_list(itf), filter, duration(for_, "--for") if for_ else None, command_line(),
        number(snaplen, "--snaplen"), number(buffer, "--buffer"), guest, server, Path(out) if out else None, keep,
    )  # fmt: skip
    captured = run_capture(lab, request, as_json=json)
    if captured:
        conclude(captured, json)


@lab_task(root=False, help={
    "file": "Capture files, or folders of them, separated by commas; they are read together.",
    "ip-offset": "Octets before the IP header, for a link layer that is not known; by default as the file says.",
    **PLOTS, **JSON,
})  # fmt: skip
def mptcptrace(
    lab: Lab, file: str, ip_offset: str = "", out: str = "", plot: str = "", format: str = "", connection: str = "",
    interval: str = "", points: str = "4000", relative: bool = False, replace: bool = False, json: bool = False,
) -> None:  # fmt: skip
    """List the MPTCP connections in capture files, and plot what went over each subflow when."""
    files = parse_files(file)
    wanted = read_wanted(
        out, plot=plot, form=format, connection=connection, interval=interval, points=points, relative=relative,
        replace=replace, files=files,
    )  # fmt: skip
    trace = read_trace(files, lab.progress, link_header=parse_offset(ip_offset))
    written = write_products(lab, trace, wanted)
    report(as_json(trace) | written.as_json(), [*as_lines(trace), *written.lines()], json)


@lab_task(root=False, help={"output": "The file to write.", **JSON})
def build_dissector(lab: Lab, output: str = "socks6.lua", json: bool = False) -> None:
    """Render the Wireshark dissector for SOCKSv6 from the codec's tables."""
    path = render_dissector(lab, Path(output))
    if not lab.host.dry:
        report({"path": str(path)}, [f"dissector: {path}", f"try it: tshark -X lua_script:{path} -r CAPTURE"], json)


@lab_task(root=False, help=JSON)
def install_dissector(lab: Lab, json: bool = False) -> None:
    """Render the dissector into this user's Wireshark plugins."""
    path = add_dissector(lab)
    if not lab.host.dry:
        report({"path": str(path)}, [f"dissector: {path}; Wireshark loads it when it starts"], json)


@lab_task(root=False, help={
    "what": "What gets the input: codec, or captures, for what reads and analyses capture files.",
    "minutes": "How long; it goes on from where earlier runs left off.",
    **JSON,
})  # fmt: skip
def fuzz(lab: Lab, what: str = "codec", minutes: str = "10", json: bool = False) -> None:
    """Look for input that the code cannot bear, guided by coverage; stops at the first finding."""
    campaign = run_fuzz(lab, SUBJECTS[choice(what, What, "--what")], amount(minutes, "--minutes"))
    if not lab.host.dry:
        conclude(campaign, json)


@lab_task(root=False, help=JSON)
def bench_codec(lab: Lab, json: bool = False) -> None:
    """Time the codec: microseconds for each message and option, beside a reference from the same run."""
    measured = run_bench(lab)
    if not lab.host.dry:
        report(measured.as_json(), measured.lines(), json)


@lab_task(help={
    "rounds": "Rounds that count, each of every measurement; 0: as many as the bars need.",
    "seconds": "For each measurement, four times that for connections; 0: as long as the bars need.",
    "quick": "Fewer and shorter rounds, to see that it works.",
    **JSON,
})  # fmt: skip
def bench_proxy(lab: Lab, rounds: str = "0", seconds: str = "0", quick: bool = False, json: bool = False) -> None:
    """Measure the proxy beside dante and microsocks, in one run."""
    summary = run_bench_proxy(lab, rounds=number(rounds, "--rounds"), seconds=amount(seconds, "--seconds"), quick=quick)
    if not lab.host.dry:
        conclude(summary, json)


@lab_task(alone=True, help={
    "runs": "How often each network is measured; 20 tell whether the verdicts hold up.",
    "box": "Only these, separated by commas: stripping, syn-dropping, intercepting, lossy, rate-limited, clean.",
    **JSON,
})  # fmt: skip
def bench_neutrality(lab: Lab, runs: str = "20", box: str = "", json: bool = False) -> None:
    """Judge emulated networks that are known to interfere, or not, and count how often the verdict is right."""
    found = run_bench_neutrality(lab, runs=number(runs, "--runs"), boxes=boxes_named(box))
    if not lab.host.dry:
        conclude(found, json)


@lab_task(help={
    "packets": "Of the capture that is made for it; 0: a million.",
    "rounds": "Each of every program; 0: three.",
    **JSON,
})  # fmt: skip
def bench_traces(lab: Lab, packets: str = "0", rounds: str = "0", json: bool = False) -> None:
    """Measure how fast subflows are listed, beside tshark with the same capture."""
    summary = run_bench_traces(lab, packets=number(packets, "--packets"), rounds=number(rounds, "--rounds"))
    if not lab.host.dry:
        conclude(summary, json)


@lab_task(help={"fast": "Only what is quick and needs no guest.", "only": "Only tests that match this expression."})
def test(lab: Lab, fast: bool = False, only: str = "") -> None:
    """Run the tests, linters and the import contract."""
    code = run_tests(lab, fast=fast, only=only)
    if code:
        raise Exit(code=code)


namespace = Collection(
    build_image,
    install_vm_extra,
    build_kernel,
    configure_host_tap,
    clean_host_tap,
    configure_host_nat,
    clean_host_nat,
    configure_host_source_routing,
    clean_host_source_routing,
    boot_vm,
    shutdown_vm,
    ssh_vm,
    configure_guest_nw,
    run_socks,
    run_socksifier,
    boot_socks,
    check_mptcp,
    check_neutrality,
    status,
    clean,
    doctor,
    testbed_up,
    testbed_exec,
    testbed_down,
    demo,
    make_reference,
    capture,
    mptcptrace,
    build_dissector,
    install_dissector,
    fuzz,
    bench_codec,
    bench_proxy,
    bench_neutrality,
    bench_traces,
    test,
)
namespace.configure(defaults())
