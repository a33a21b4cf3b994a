"""Files and network namespaces as steps: never over something that is there, and gone afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import MpsocksError
from lab.runner import Runner
from lab.steps import NetworkNamespace, NewFile, step_from_record
from tests.conftest import namespace_name


class TestNewFile:
    def test_it_comes_and_goes_with_the_folder_that_was_new(self, here: Runner, tmp_path: Path) -> None:
        step = NewFile(str(tmp_path / "new" / "resolv.conf"), "nameserver 192.0.2.53\n").prepared(here)
        assert not step.stands(here)
        step.apply(here)
        assert step.stands(here)
        assert (tmp_path / "new" / "resolv.conf").read_text() == "nameserver 192.0.2.53\n"
        again = step_from_record(step.as_record())
        again.undo(here)
        again.undo(here)
        assert list(tmp_path.iterdir()) == []

    def test_every_folder_that_was_new_goes(self, here: Runner, tmp_path: Path) -> None:
        step = NewFile(str(tmp_path / "one" / "two" / "file"), "text").prepared(here)
        step.apply(here)
        step.undo(here)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_was_there_stays(self, here: Runner, tmp_path: Path) -> None:
        step = NewFile(str(tmp_path / "file"), "text").prepared(here)
        step.apply(here)
        step.undo(here)
        assert tmp_path.is_dir()

    def test_a_new_folder_that_someone_else_uses_by_now_stays(self, here: Runner, tmp_path: Path) -> None:
        step = NewFile(str(tmp_path / "new" / "file"), "text").prepared(here)
        step.apply(here)
        (tmp_path / "new" / "theirs").touch()
        step.undo(here)
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["theirs"]

    @pytest.mark.parametrize("partly", [(), ("mkdir",), ("mkdir", "touch")])
    def test_undoing_what_was_applied_in_part(self, here: Runner, tmp_path: Path, partly: tuple[str, ...]) -> None:
        step = NewFile(str(tmp_path / "new" / "file"), "text").prepared(here)
        if "mkdir" in partly:
            (tmp_path / "new").mkdir()
        if "touch" in partly:
            (tmp_path / "new" / "file").touch()
        step.undo(here)
        assert list(tmp_path.iterdir()) == []

    def test_what_is_there_already_is_refused_and_left_alone(self, here: Runner, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("theirs")
        with pytest.raises(MpsocksError, match="already there") as refused:
            NewFile(str(tmp_path / "file"), "ours").prepared(here)
        assert refused.value.hint == "move it away"
        assert (tmp_path / "file").read_text() == "theirs"


@pytest.mark.netns
class TestNetworkNamespace:
    @pytest.fixture
    def step(self, netns: Runner) -> Iterator[NetworkNamespace]:
        """A namespace beside the one of this test."""
        name = f"{namespace_name(netns)}-step"
        yield NetworkNamespace(name)
        if Path("/run/netns", name).exists():
            subprocess.run(["ip", "netns", "delete", name], check=True)

    def test_it_comes_and_goes(self, here: Runner, step: NetworkNamespace) -> None:
        step = step.prepared(here)
        assert not step.stands(here)
        step.apply(here)
        assert step.stands(here)
        step.undo(here)
        assert not step.stands(here)
        step.undo(here)

    def test_processes_in_it_go_with_it(self, here: Runner, step: NetworkNamespace) -> None:
        step.apply(here)
        with subprocess.Popen(["ip", "netns", "exec", step.name, "sleep", "600"]) as process:
            step.undo(here)
            assert process.wait() != 0
        assert not step.stands(here)

    def test_one_of_another_is_refused_and_left_alone(self, here: Runner, netns: Runner) -> None:
        with pytest.raises(MpsocksError, match="already there") as refused:
            NetworkNamespace(namespace_name(netns)).prepared(here)
        assert f"ip netns delete {namespace_name(netns)}" in refused.value.hint
        assert Path("/run/netns", namespace_name(netns)).exists()
