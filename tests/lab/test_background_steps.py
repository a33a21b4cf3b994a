"""Steps that leave a process behind: it is found again by its own file, and ended with nothing lost."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab.errors import MpsocksError
from lab.runner import Runner
from lab.steps import Capture, SshForward, step_from_record
from lab.steps.base import Step
from tests.conftest import namespace_name
from tests.lab.host_state import wait_until
from tests.lab.testbed.inside import open_socket, processes
from tests.ssh_server import SshServer
from tests.traces.reading.rows import read_segments

pytestmark = pytest.mark.netns

PORT = 7007


class TestCapture:
    @pytest.fixture
    def step(self, tmp_path: Path) -> Capture:
        return Capture("lo", str(tmp_path / "lo.pcap"), f"tcp port {PORT}", 128)

    @staticmethod
    def start(netns: Runner, step: Capture) -> None:
        step.apply(netns)
        wait_until(lambda: "listening on" in Path(step.log).read_text(), "tcpdump does not listen")

    @staticmethod
    def talk(netns: Runner) -> None:
        """One connection to PORT that is refused: a SYN and a RST."""
        with closing(open_socket(namespace_name(netns), socket.AF_INET, socket.SOCK_STREAM)) as stream:
            assert stream.connect_ex(("127.0.0.1", PORT)) != 0

    def test_what_it_saw_is_whole_when_it_is_undone(self, netns: Runner, step: Capture) -> None:
        assert not step.stands(netns)
        self.start(netns, step)
        assert step.stands(netns)
        for _ in range(50):
            self.talk(netns)
        step_from_record(step.as_record()).undo(netns)
        assert not step.stands(netns)
        assert len(list(read_segments(Path(step.path)))) == 100
        assert "0 packets dropped by kernel" in Path(step.log).read_text()
        assert not processes(namespace_name(netns))

    def test_undoing_twice_or_without_a_start_is_no_error(self, netns: Runner, step: Capture) -> None:
        step.undo(netns)
        self.start(netns, step)
        step.undo(netns)
        step.undo(netns)
        assert not Path(f"{step.path}.pid").exists()

    def test_a_process_that_has_its_number_by_now_is_left_alone(self, netns: Runner, step: Capture) -> None:
        with subprocess.Popen(["sleep", "600"]) as stranger:
            Path(f"{step.path}.pid").write_text(f"{stranger.pid}\n")
            assert not step.stands(netns)
            step.undo(netns)
            assert stranger.poll() is None
            stranger.kill()

    def test_paths_may_hold_blanks_and_quotes(self, netns: Runner, tmp_path: Path) -> None:
        step = Capture("lo", str(tmp_path / "it's a 'capture' $HOME.pcap"), f"tcp port {PORT}", 128)
        self.start(netns, step)
        self.talk(netns)
        step.undo(netns)
        assert len(list(read_segments(Path(step.path)))) == 2

    def test_the_file_is_for_its_owner_only(self, netns: Runner, step: Capture) -> None:
        self.start(netns, step)
        step.undo(netns)
        assert Path(step.path).stat().st_mode & 0o077 == 0

    def test_on_no_interface_it_says_why(self, netns: Runner, tmp_path: Path) -> None:
        step = Capture("wlp9s9", str(tmp_path / "none.pcap"), "tcp", 128)
        step.apply(netns)
        wait_until(lambda: "wlp9s9" in Path(step.log).read_text(), "tcpdump says nothing")
        wait_until(lambda: not step.stands(netns), "tcpdump goes on")
        step.undo(netns)


class TestSshForward:
    @pytest.fixture
    def server(self, netns: Runner, tmp_path: Path) -> Iterator[SshServer]:
        with SshServer(lambda: open_socket(namespace_name(netns), socket.AF_INET, socket.SOCK_STREAM)) as running:
            running.write_client_files(tmp_path)
            yield running

    @pytest.fixture
    def step(self, server: SshServer, tmp_path: Path) -> SshForward:
        options = (
            *("-F", "none", "-i", str(tmp_path / "key"), "-p", str(server.port), "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={tmp_path / 'known_hosts'}"),
        )
        return SshForward(f"127.0.0.1:{PORT}", str(tmp_path / "control"), options, "root@127.0.0.1")

    @staticmethod
    def connects(netns: Runner) -> bool:
        with closing(open_socket(namespace_name(netns), socket.AF_INET, socket.SOCK_STREAM)) as stream:
            return stream.connect_ex(("127.0.0.1", PORT)) == 0

    def test_a_socks_server_comes_and_goes(self, netns: Runner, step: SshForward) -> None:
        assert not step.stands(netns)
        step.apply(netns)
        assert step.stands(netns)
        assert self.connects(netns)
        again: Step = step_from_record(step.as_record())
        again.undo(netns)
        assert not step.stands(netns)
        wait_until(lambda: not self.connects(netns), "the SOCKS server goes on")
        again.undo(netns)
        assert not Path(step.control).exists()
        assert not Path(step.log).exists()

    def test_undoing_without_a_start_is_no_error(self, netns: Runner, step: SshForward) -> None:
        step.undo(netns)

    def test_a_control_socket_that_a_killed_client_left_goes_too(self, netns: Runner, step: SshForward) -> None:
        with closing(socket.socket(socket.AF_UNIX)) as left:
            left.bind(step.control)
        step.undo(netns)
        assert not Path(step.control).exists()

    def test_a_port_that_is_taken_is_an_error(self, netns: Runner, step: SshForward) -> None:
        with closing(open_socket(namespace_name(netns), socket.AF_INET, socket.SOCK_STREAM)) as taken:
            taken.bind(("127.0.0.1", PORT))
            taken.listen()
            with pytest.raises(MpsocksError, match=f"ssh -D on 127.0.0.1:{PORT} does not start") as refused:
                step.apply(netns)
        assert "Address already in use" in refused.value.why
        assert f"ss -ltnp src 127.0.0.1:{PORT}" in refused.value.hint
        step.undo(netns)
        assert not step.stands(netns)
        assert not Path(step.log).exists()

    def test_a_server_with_another_key_is_refused(
        self, netns: Runner, step: SshForward, server: SshServer, tmp_path: Path
    ) -> None:
        server.pin_another_key(tmp_path)
        with pytest.raises(MpsocksError) as refused:
            step.apply(netns)
        assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in refused.value.why
        assert not step.stands(netns)
        assert not self.connects(netns)
