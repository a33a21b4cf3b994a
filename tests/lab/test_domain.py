"""The domain XML, and the step that starts a domain, against libvirt's own test driver."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lab.domain import Accel, DomainSpec, domain_uuid, domain_xml
from lab.errors import MpsocksError
from lab.libvirt_host import EMBEDDED, LONGEST_ROOT, LibvirtError, LibvirtHost
from lab.plan import tap_plans
from lab.runner import Runner
from lab.steps import Domain

MOCK = "test:///default"  # libvirt's test driver: each process that opens it finds one domain, called `test`
SPEC = DomainSpec(
    name="mpsocks",
    accel=Accel.TCG,
    memory_mib=512,
    cpus=2,
    kernel=Path("/cache/kernels/k/bzImage"),
    initrd=None,
    modules=None,
    disk=Path("/state/vm/disk.qcow2"),
    console=Path("/state/vm/console.log"),
    taps=tap_plans(2),
)


def parsed(spec: DomainSpec) -> ET.Element:
    return ET.fromstring(domain_xml(spec))


def text(spec: DomainSpec, path: str) -> str:
    return parsed(spec).findtext(path) or ""


class TestXml:
    def test_it_says_what_the_spec_says(self) -> None:
        assert text(SPEC, "name") == "mpsocks"
        assert text(SPEC, "memory") == "512"
        assert text(SPEC, "vcpu") == "2"
        assert text(SPEC, "os/kernel") == "/cache/kernels/k/bzImage"
        assert "root=/dev/vda" in text(SPEC, "os/cmdline").split()

    def test_each_tap_is_an_interface_with_its_mac(self) -> None:
        interfaces = parsed(SPEC).findall("devices/interface")
        found = [(i.find("target").get("dev"), i.find("mac").get("address")) for i in interfaces]  # type: ignore[union-attr]
        assert found == [("mptcp0", "52:54:00:66:06:00"), ("mptcp1", "52:54:00:66:06:01")]
        assert {i.find("target").get("managed") for i in interfaces} == {"no"}  # type: ignore[union-attr]

    @pytest.mark.parametrize(("accel", "kind", "cpu"), [("kvm", "kvm", "host-passthrough"), ("tcg", "qemu", "maximum")])
    def test_acceleration_chooses_the_domains_type(self, accel: str, kind: str, cpu: str) -> None:
        domain = parsed(dataclasses.replace(SPEC, accel=Accel(accel)))
        assert domain.get("type") == kind
        assert domain.find("cpu").get("mode") == cpu  # type: ignore[union-attr]

    def test_what_is_not_there_is_not_named(self) -> None:
        bare = dataclasses.replace(SPEC, disk=None, taps=())
        assert parsed(bare).findall("devices/disk") == []
        assert parsed(bare).findall("devices/interface") == []
        assert parsed(bare).find("os/initrd") is None
        assert "root=" not in bare.cmdline

    def test_a_stock_kernel_brings_its_initrd_and_modules_read_only(self) -> None:
        stock = dataclasses.replace(SPEC, initrd=Path("/k/initrd"), modules=Path("/k/modules.ext4"))
        assert text(stock, "os/initrd") == "/k/initrd"
        _disk, modules = parsed(stock).findall("devices/disk")
        assert modules.find("source").get("file") == "/k/modules.ext4"  # type: ignore[union-attr]
        assert modules.find("readonly") is not None

    def test_a_guest_that_stops_or_panics_ends_its_domain(self) -> None:
        assert [text(SPEC, f"on_{what}") for what in ("poweroff", "reboot", "crash")] == ["destroy"] * 3
        assert "panic=-1" in SPEC.cmdline.split()

    def test_paths_are_escaped(self) -> None:
        nasty = Path("/tmp/a&b <c> \"d\" 'e'/disk.qcow2")
        spec = dataclasses.replace(SPEC, disk=nasty, console=nasty, kernel=nasty)
        assert text(spec, "os/kernel") == str(nasty)
        assert parsed(spec).find("devices/disk/source").get("file") == str(nasty)  # type: ignore[union-attr]
        assert parsed(spec).find("devices/serial/source").get("path") == str(nasty)  # type: ignore[union-attr]


class TestPortability:
    """A saved guest is kept under a key of its definition, and must be found again from another state folder."""

    ELSEWHERE = dataclasses.replace(SPEC, disk=Path("/other/disk.qcow2"), console=Path("/other/console.log"))

    def test_it_is_the_same_for_two_state_folders(self) -> None:
        assert domain_xml(SPEC) != domain_xml(self.ELSEWHERE)
        assert domain_xml(SPEC.portable()) == domain_xml(self.ELSEWHERE.portable())

    @pytest.mark.parametrize(
        "other",
        [{"memory_mib": 256}, {"cpus": 1}, {"accel": Accel.KVM}, {"taps": tap_plans(1)}, {"kernel": Path("/other")}],
        ids=str,
    )
    def test_and_another_for_another_machine(self, other: dict[str, object]) -> None:
        assert domain_xml(dataclasses.replace(SPEC, **other).portable()) != domain_xml(SPEC.portable())  # type: ignore[arg-type]

    def test_a_domain_without_a_disk_stays_without(self) -> None:
        assert dataclasses.replace(SPEC, disk=None).portable().disk is None

    def test_a_name_has_one_uuid(self) -> None:
        assert domain_uuid("mpsocks") == domain_uuid("mpsocks") != domain_uuid("other")


def step(tmp_path: Path, **changed: str) -> Domain:
    fields = {"name": "mpsocks", "xml": domain_xml(SPEC), "uri": MOCK, "root": str(tmp_path)}
    fields |= {"capabilities": str(tmp_path), "folder": str(tmp_path / "vm")} | changed
    return Domain(**fields)


class TestTheStep:
    def test_a_domain_of_another_is_refused(self, here: Runner, tmp_path: Path) -> None:
        taken = step(tmp_path, name="test")
        assert taken.stands(here)
        with pytest.raises(MpsocksError, match="already has a domain called test") as refused:
            taken.prepared(here)
        assert refused.value.hint.endswith("virsh -c 'test:///default' destroy test")

    def test_undoing_what_was_never_started_is_no_error(self, here: Runner, tmp_path: Path) -> None:
        free = step(tmp_path).prepared(here)
        assert not free.stands(here)
        free.undo(here)
        free.undo(here)

    def test_the_overlay_lies_on_the_image_and_goes_at_the_end(self, here: Runner, tmp_path: Path) -> None:
        image, disk = tmp_path / "image.qcow2", tmp_path / "vm" / "disk.qcow2"
        here.change("qemu-img", "create", "-q", "-f", "qcow2", image, "1M")
        pristine = image.read_bytes()
        started = step(tmp_path, disk=str(disk), backing=str(image))
        started.apply(here)
        info = here.read_json("qemu-img", "info", "--output=json", disk)
        assert info["full-backing-filename"] == str(image)
        started.undo(here)
        assert not disk.exists()
        assert image.read_bytes() == pristine


class TestLibvirtHost:
    def test_it_answers(self, tmp_path: Path) -> None:
        libvirt = LibvirtHost(MOCK, tmp_path, tmp_path)
        assert libvirt.version() >= 9_000_000
        assert libvirt.domains() == ["test"]
        libvirt.destroy("test")
        libvirt.destroy("there is none")

    def test_what_it_refuses_is_told_in_its_words(self, tmp_path: Path) -> None:
        with pytest.raises(LibvirtError, match="does not start the guest") as refused:
            LibvirtHost(MOCK, tmp_path, tmp_path).create("<domain type='test'/>")
        assert refused.value.why == "missing name information"

    def test_a_uri_that_leads_nowhere_is_an_error_with_a_hint(self, tmp_path: Path) -> None:
        with pytest.raises(LibvirtError, match="nosuch:///system") as refused:
            LibvirtHost("nosuch:///system", tmp_path, tmp_path).version()
        assert refused.value.why
        assert "invoke doctor" in refused.value.hint

    def test_a_root_too_long_for_its_sockets_is_refused_before_anything_is_made(self, tmp_path: Path) -> None:
        root = tmp_path / ("x" * LONGEST_ROOT)
        with pytest.raises(MpsocksError, match="too long") as refused:
            LibvirtHost(EMBEDDED, root, tmp_path / "capabilities").version()
        assert "INVOKE_MPSOCKS_STATE" in refused.value.hint
        assert list(tmp_path.iterdir()) == []
