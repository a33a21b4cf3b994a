"""The configuration file: what it may say, and how mistakes in it are told."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, Field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from codec.command import Command
from proxy import cli
from proxy.config import MOST_WORKERS, parse, read
from proxy.options import (
    Clients,
    Draft,
    HostPort,
    Limits,
    Listen,
    LogFormat,
    Mode,
    Operations,
    Options,
    Outward,
    Rule,
    StartError,
    Timeouts,
    Tls,
    Verdict,
)
from tests.proxy.forking import run_proxy
from tests.proxy.running import PATIENCE, ROOT

EXAMPLE = ROOT / "proxy" / "example.toml"
LEAST = '[[listen]]\naddress = "127.0.0.1:1080"\n[clients]\nnetworks = ["127.0.0.0/8"]\n'
TABLES = {
    "clients": Clients, "outward": Outward, "timeouts": Timeouts, "limits": Limits, "operations": Operations,
    "listen": Listen, "tls": Tls, "rule": Rule,
}  # fmt: skip
ILLUSTRATED = {"clients.networks", "clients.users", "operations.metrics", "operations.control"}
"""Keys whose value in the example is not the default, for that says nothing."""


def options_of(text: str, mode: Mode = Mode.SERVE) -> Options:
    return parse(tomllib.loads(text), mode)


def test_little_is_enough() -> None:
    options = options_of(LEAST)
    assert options.listen == (Listen(HostPort("127.0.0.1", 1080)),)
    assert options.clients.networks == (ip_network("127.0.0.0/8"),)
    assert options.timeouts == Timeouts()
    assert options.workers >= 1


def test_everything_can_be_said() -> None:
    options = parse(read(EXAMPLE), Mode.SERVE)
    assert options.listen[0] == Listen(HostPort("10.66.6.2", 6666))
    assert options.listen[1].tls
    assert options.tls == Tls(Path("/etc/mpsocks/certificate.pem"), Path("/etc/mpsocks/key.pem"))
    assert options.rules == (
        Rule(Verdict.DENY, networks=(ip_network("192.168.0.0/16"),)),
        Rule(
            Verdict.ALLOW,
            clients=(ip_network("10.66.6.0/24"),),
            users=("alice",),
            commands=(Command.CONNECT,),
            names=("example.com", ".example.com"),
            ports=(range(443, 444), range(1024, 65536)),
        ),
    )
    assert options.operations == Operations(LogFormat.JSON, HostPort("10.66.6.2", 9106), Path("/run/mpsocks"))


def keys_of(kind: Any) -> list[Field[Any]]:
    return list(fields(kind))


@pytest.mark.parametrize(
    ("table", "key"), [(table, one.name) for table, kind in TABLES.items() for one in keys_of(kind)]
)
def test_the_example_explains_every_key(table: str, key: str) -> None:
    text = EXAMPLE.read_text()
    parts = re.split(r"^\[+(\w+)\]+$", text, flags=re.MULTILINE)
    bodies = [body for name, body in zip(parts[1::2], parts[2::2], strict=True) if name == table]
    assert any(re.search(rf"^# .*\n(# )?{key} = ", body, flags=re.MULTILINE) for body in bodies)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (table, one.name)
        for table, kind in TABLES.items()
        for one in keys_of(kind)
        if one.default is not MISSING and table != "rule" and f"{table}.{one.name}" not in ILLUSTRATED
    ],
)
def test_the_example_tells_the_true_defaults(table: str, key: str) -> None:
    options = parse(read(EXAMPLE), Mode.SERVE)
    told = options.listen[0] if table == "listen" else getattr(options, table)
    default = next(one.default for one in keys_of(TABLES[table]) if one.name == key)
    assert getattr(told, key) == default


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "listen (or --listen): there is none"),
        ('[[listen]]\naddress = "::1:80"', "listen #1.address: an IPv6 address goes in brackets: [::1]:80"),
        ('[[listen]]\naddress = "[::1]:80"', "clients.networks (or --allow): only who is named is served"),
        ('[[listen]]\naddress = "localhost:80"\n[clients]\nnetworks = ["::/0"]', "listen #1.address: an address"),
        ("[[listen]]\nport = 80", "listen #1.port: there is no such key; there are address, draft"),
        ("[[listen]]\ndraft = '11'", "listen #1.address: is missing"),
        ("listen = 5", "listen: a list is expected, not 5"),
        ("listen = [5]", "listen #1: a table is expected, not 5"),
        ("[[listen]]\naddress = 5", "listen #1.address: "),
        (LEAST + "[[listen]]\naddress = '127.0.0.1:1080'", "listen #1.address: 127.0.0.1:1080 stands more than once"),
        (LEAST + "[[listen]]\naddress = '[::1]:1'\ntls = true", "listen #2.tls: needs a table [tls]"),
        (LEAST + "[[listen]]\naddress = '[::1]:1'\nversions = [5]", "listen #2.versions: octets other than 4 and 5"),
        (LEAST + "[[listen]]\naddress = '[::1]:1'\nversions = [256]", "listen #2.versions: octets"),
        (LEAST + "[[listen]]\naddress = '[::1]:1'\ndraft = '12'", "listen #2.draft: one of '04', '11' is expected"),
        (LEAST + "users = 5", "clients.users: "),
        (LEAST + "failures_per_minute = 0", "clients.failures_per_minute: at least one"),
        ("workers = 0\n" + LEAST, "workers: at least one"),
        (f"workers = {MOST_WORKERS + 1}\n" + LEAST, f"at most {MOST_WORKERS}"),
        ("workers = true\n" + LEAST, "workers: a whole number is expected, not True"),
        ("worker = 1\n" + LEAST, "worker: there is no such key; there are mode, listen"),
        ("mode = 'serve'\n" + LEAST, "mode: it is the command that says so"),
        ("clients = 5", "clients: a table is expected, not 5"),
        (LEAST + "[timeouts]\nidle = 0", "timeouts.idle: more than 0 seconds"),
        (LEAST + "[timeouts]\nidle = inf", "timeouts.idle: more than 0 seconds"),
        (LEAST + "[timeouts]\nidle = nan", "timeouts.idle: more than 0 seconds"),
        (LEAST + "[timeouts]\nidle = '10'", "timeouts.idle: a number is expected, not '10'"),
        (LEAST + "[limits]\nsessions = -1", "limits.sessions: not less than 0"),
        (LEAST + "[limits]\nwindow = 0", "limits.window: at least one"),
        (LEAST + "[outward]\nhappy_eyeballs_delay = 0", "outward.happy_eyeballs_delay: more than 0 seconds"),
        (LEAST + "[outward]\nsources = ['::1', 'x']", "outward.sources #2: an address of this host is expected"),
        (LEAST + "[outward]\nvia = 'proxy'", "outward.via: 'proxy' is not HOST:PORT"),
        (LEAST + "[outward]\nmptcp = 1", "outward.mptcp: true or false is expected, not 1"),
        (LEAST + "[operations]\nlog = 'xml'", "operations.log: one of 'json', 'text' is expected, not 'xml'"),
        (LEAST + "[operations]\nmetrics = 'host:1'", "operations.metrics: an address of this host is expected"),
        (LEAST + "[[rule]]\nports = [80]", "rules #1.verdict: is missing"),
        (LEAST + "[[rule]]\nverdict = 'allow'\nports = ['80-70']", "rules #1.ports #1: '80-70' is not a port"),
        (LEAST + "[[rule]]\nverdict = 'allow'\nports = ['http']", "rules #1.ports #1: "),
        (LEAST + "[[rule]]\nverdict = 'allow'\ncommands = ['PING']", "rules #1.commands #1: one of NOOP, CONNECT"),
        (LEAST + "[[rule]]\nverdict = 'deny'\nnetworks = ['10.0.0.1/8']", "rules #1.networks #1: 10.0.0.1/8 has host"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        options_of(text)


def test_redirected_clients_have_no_tls() -> None:
    text = LEAST.replace("[clients]", "tls = true\n[clients]") + "[tls]\ncertificate = 'c'\nkey = 'k'"
    assert options_of(text).listen[0].tls
    with pytest.raises(ValueError, match=r"listen #1\.tls: redirected clients"):
        options_of(text, Mode.SOCKSIFY)


@pytest.mark.parametrize(
    ("octets", "complaint"), [(None, "No such file"), (b"[x", "is not TOML"), (b"\xff", "is not TOML")]
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, octets: bytes | None, complaint: str) -> None:
    file = tmp_path / "mpsocks.toml"
    if octets is not None:
        file.write_bytes(octets)
    with pytest.raises(StartError, match=complaint):
        read(file)


def serve(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> Options:
    """The options that the command line makes."""
    made: list[Options] = []

    class Kept:
        def __init__(self, read_options: Any) -> None:
            made.append(read_options())

        def run(self) -> int:
            return 0

    monkeypatch.setattr(cli, "Supervisor", Kept)
    assert cli.main(["serve", *arguments]) == 0
    return made[0]


def test_the_command_line_adds_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mpsocks.toml"
    file.write_text(LEAST + "[timeouts]\nidle = 5\nconnect = 6\n")
    options = serve(
        "--config", str(file), "--listen", "[::1]:1080", "--allow", "::1", "--workers", "3",
        "--set", "timeouts.idle=7", "--set", 'outward.sources=["192.0.2.1"]', "--set", 'operations.log = "text"',
        monkeypatch=monkeypatch,
    )  # fmt: skip
    assert [str(one.address) for one in options.listen] == ["127.0.0.1:1080", "[::1]:1080"]
    assert options.clients.networks == (ip_network("127.0.0.0/8"), ip_network("::1"))
    assert options.workers == 3
    assert options.timeouts == Timeouts(idle=7, connect=6)
    assert options.outward.sources == ("192.0.2.1",)
    assert options.operations.log is LogFormat.TEXT


def test_a_listener_may_be_set_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    options = serve(
        "--allow", "::1", "--set", 'listen=[{address="[::1]:1",draft="04",versions=[6,0xcf]}]', monkeypatch=monkeypatch
    )
    assert options.listen == (Listen(HostPort("::1", 1), Draft.DRAFT_04, (6, 0xCF)),)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--set", "timeouts.idle"), "--set timeouts.idle: not KEY=VALUE as in TOML"),
        (("--set", "operations.log=text"), "--set operations.log=text: not KEY=VALUE as in TOML, with texts in quotes"),
        (("--set", "timeouts.idel=5"), "timeouts.idel: there is no such key; there are handshake"),
        (("--set", "listen=5"), "listen: a list is expected"),
        (("--set", "timeouts=5"), "timeouts: a table is expected"),
        (("--config", "/nonexistent.toml"), "cannot read /nonexistent.toml: No such file or directory"),
        (("--set", 'clients.users="/nonexistent"'), "cannot read /nonexistent"),
        (("--set", 'rule=[{verdict="allow",names=["10.0.0.1"]}]'), "is an address: it goes into networks"),
        (("--set", 'tls={certificate="/nonexistent",key="k"}'), "tls.certificate: cannot read /nonexistent"),
        (("--set", 'operations.control="/nonexistent/a"'), "operations.control: cannot use /nonexistent/a"),
        (("--set", f'operations.control="/{"a" * 100}"'), "is too long a path"),
        (("--set", 'operations.control="/tmp"'), "operations.control: /tmp must be a folder of this user alone"),
        (("--set", 'outward.nameserver="dns.example:53"'), "outward.nameserver: an address is expected"),
        (("--set", 'outward.via="proxy.example:1080"'), "outward.via: only a socksifier goes through another proxy"),
        (("--set", 'operations.metrics="192.0.2.1:1"'), "operations.metrics: cannot listen on 192.0.2.1:1"),
        (("--listen", "192.0.2.1:0"), "cannot listen on 192.0.2.1:0: Cannot assign requested address"),
    ],
)
def test_nothing_begins_with_a_mistake(arguments: tuple[str, ...], complaint: str) -> None:
    ended = run_proxy("serve", "--listen", "127.0.0.1:0", "--allow", "::1", *arguments, timeout=PATIENCE)
    assert ended.returncode == 1
    assert complaint in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_mistake_in_the_file_is_told_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mpsocks.toml"
    file.write_text("listen = 5")
    assert cli.main(["serve", "--config", str(file), "--listen", "127.0.0.1:0", "--allow", "::1"]) == 1
    assert capsys.readouterr().err == f"mpsocks: {file}: listen: a list is expected, not 5\n"
