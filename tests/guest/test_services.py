"""What each service in the guest consists of: it listens on the lab's addresses only, and may do little else."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from guest.services import (
    Service,
    Socksifier,
    SocksServer,
    needs_extra_image,
    redirect_ruleset,
    require_fit,
    socks_service,
    socksifier_service,
)
from lab.errors import BadInputError
from lab.plan import LAB_NETWORK, REDIRECT_PORT, SOCKS_PORT, tap_plans
from lab.runner import Runner

PLANS = tap_plans(2)
ADDRESSES = ["10.66.6.2", "10.66.7.2"]
SERVICES = {
    **{f"socks {server}": socks_service(server, PLANS) for server in SocksServer},
    **{f"socksifier {socksifier}": socksifier_service(socksifier, PLANS) for socksifier in Socksifier},
}
every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
# Those that need no privilege. dante changes its user, and sshd logs people in.
SANDBOXED = [name for name, service in SERVICES.items() if service.unit not in ("mpsocks-dante", "mpsocks-sshd")]
DIRECTIVES = """
DynamicUser=yes NoNewPrivileges=yes CapabilityBoundingSet= ProtectSystem=strict ProtectHome=yes PrivateTmp=yes
PrivateDevices=yes ProtectKernelTunables=yes ProtectKernelModules=yes ProtectControlGroups=yes ProtectClock=yes
RestrictNamespaces=yes RestrictSUIDSGID=yes LockPersonality=yes MemoryDenyWriteExecute=yes
SystemCallFilter=@system-service SystemCallErrorNumber=EPERM
"""


def text_of(service: Service, ending: str) -> str:
    (text,) = (text for path, text in service.files if path.endswith(ending))
    return text


def unit_of(service: Service) -> str:
    return text_of(service, f"/{service.unit}.service")


def directives(unit: str) -> list[str]:
    section = unit.partition("[Service]")[2]
    return [line for line in section.splitlines() if line and not line.startswith("#")]


class TestUnits:
    @every_service
    def test_the_unit_is_one_of_systemds_and_has_one_command(self, service: Service) -> None:
        parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
        parser.read_string(unit_of(service))
        assert set(parser.sections()) <= {"Unit", "Service"}
        assert parser["Unit"]["Description"]
        assert parser["Service"]["ExecStart"].startswith("/usr/")
        assert [path for path, _ in service.files if path.startswith("/etc/systemd/system/")] == [
            f"/etc/systemd/system/{service.unit}.service"
        ]

    @pytest.mark.parametrize("name", SANDBOXED)
    @pytest.mark.parametrize("directive", DIRECTIVES.split())
    def test_it_may_do_little(self, name: str, directive: str) -> None:
        assert directive in directives(unit_of(SERVICES[name]))

    @every_service
    def test_whichever_does_the_same_is_ended_first(self, service: Service) -> None:
        kin = [other.unit for other in SERVICES.values() if other.port == service.port or service.unit in other.rivals]
        assert service.unit not in service.rivals
        assert set(kin) - {service.unit} <= set(service.rivals)

    @pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")
    def test_systemd_itself_finds_nothing_to_complain_about(self, tmp_path: Path) -> None:
        for service in SERVICES.values():
            (tmp_path / f"{service.unit}.service").write_text(unit_of(service))
        # Of what a unit runs nothing is installed here; what is left would be about the unit itself.
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, tmp_path.iterdir())],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
        assert complaints == []


def listening(words: str) -> list[tuple[str, int]]:
    return [(address, int(port)) for address, port in re.findall(r"--listen (\S+):(\d+)", words)]


class TestListening:
    """Nothing listens but on the lab's own addresses."""

    def test_our_proxy(self) -> None:
        unit = unit_of(SERVICES["socks mpsocks"])
        assert listening(unit) == [(address, SOCKS_PORT) for address in ADDRESSES]
        assert f"--allow {LAB_NETWORK}" in unit

    def test_our_socksifier(self) -> None:
        unit = unit_of(SERVICES["socksifier mpsocks"])
        assert listening(unit) == [(address, REDIRECT_PORT) for address in ADDRESSES]
        assert f"--allow {LAB_NETWORK}" in unit

    def test_dante_on_the_labs_interfaces_for_the_labs_network(self) -> None:
        configuration = text_of(SERVICES["socks dante"], "danted.conf")
        assert re.findall(r"^internal: (\S+) port = (\d+)$", configuration, re.M) == [
            ("mptcp0", str(SOCKS_PORT)), ("mptcp1", str(SOCKS_PORT)),
        ]  # fmt: skip
        assert f"client pass {{ from: {LAB_NETWORK} to: 0.0.0.0/0 }}" in configuration
        assert "socks block { from: 0.0.0.0/0 to: 127.0.0.0/8 }" in configuration
        assert "mptcpize run" in unit_of(SERVICES["socks dante"])

    def test_the_second_sshd_on_the_first_address(self) -> None:
        unit = unit_of(SERVICES["socks ssh"])
        assert f"-p {SERVICES['socks ssh'].port} -o ListenAddress={ADDRESSES[0]}" in unit
        assert "-o AllowTcpForwarding=local" in unit
        assert "mptcpize run" in unit

    def test_redsocks_before_the_socks_server_of_the_guest(self) -> None:
        configuration = text_of(SERVICES["socksifier redsocks"], "redsocks.conf")
        assert re.findall(r"local_ip = (\S+);\s+local_port = (\d+);", configuration) == [
            (address, str(REDIRECT_PORT)) for address in ADDRESSES
        ]
        assert f"ip = {ADDRESSES[0]};\n  port = {SOCKS_PORT};\n  type = socks5;" in configuration

    @every_service
    def test_no_file_names_an_address_that_everyone_could_reach(self, service: Service) -> None:
        for _path, text in service.files:
            bound = re.findall(r"(?:--listen |ListenAddress=|local_ip = )([0-9a-f.:]+?)(?::\d+)?(?=[\s;])", text)
            assert all(ip_address(address) in ip_network(LAB_NETWORK) for address in bound)


@pytest.mark.netns
class TestPrograms:
    """The programs themselves read what was rendered for them."""

    def test_redsocks_takes_its_configuration(self, here: Runner, tmp_path: Path) -> None:
        if not here.probe("which", "redsocks").ok:
            pytest.skip("redsocks is not installed here: it is in the guest's extra image")
        (tmp_path / "redsocks.conf").write_text(text_of(SERVICES["socksifier redsocks"], "redsocks.conf"))
        assert here.probe("redsocks", "-t", "-c", tmp_path / "redsocks.conf").ok

    def test_danted_takes_its_configuration(self, netns: Runner, tmp_path: Path) -> None:
        if not netns.probe("which", "danted").ok:
            pytest.skip("danted is not installed here: it is in the guest's extra image")
        for plan in PLANS:
            netns.change("ip", "link", "add", plan.tap, "type", "veth")
            netns.change("ip", "address", "add", str(plan.guest), "dev", plan.tap)
        (tmp_path / "danted.conf").write_text(text_of(SERVICES["socks dante"], "danted.conf"))
        done = netns.probe("danted", "-V", "-f", tmp_path / "danted.conf")
        assert done.ok, done.stdout + done.stderr

    def test_the_redirect_ruleset_is_loaded_and_replaces_itself(self, netns: Runner) -> None:
        netns.change("nft", "-c", "-f", "-", stdin=redirect_ruleset(PLANS))
        for _ in range(2):
            netns.change("nft", "-f", "-", stdin=redirect_ruleset(PLANS))
        loaded = netns.read("nft", "list", "ruleset")
        assert loaded.count("redirect to") == 1
        assert f"redirect to :{REDIRECT_PORT}" in loaded
        assert 'iifname { "mptcp0", "mptcp1" }' in loaded
        assert "fib daddr type != local" in loaded


class TestChoices:
    @pytest.mark.parametrize(
        ("server", "socksifier", "extra"),
        [
            ("mpsocks", "mpsocks", False),
            ("dante", "mpsocks", True),
            ("ssh", "mpsocks", True),
            ("mpsocks", "redsocks", True),
        ],
    )
    def test_what_only_the_extra_image_has(self, server: str, socksifier: str, extra: bool) -> None:
        assert needs_extra_image(SocksServer(server), Socksifier(socksifier)) == extra

    def test_redsocks_cannot_reach_a_socks_server_on_the_lab_host(self) -> None:
        with pytest.raises(BadInputError, match="redsocks cannot be used with --server ssh") as refused:
            require_fit(SocksServer.SSH, Socksifier.REDSOCKS)
        assert "--socksifier mpsocks" in refused.value.hint
        require_fit(SocksServer.SSH, Socksifier.MPSOCKS)
        require_fit(SocksServer.DANTE, Socksifier.REDSOCKS)
