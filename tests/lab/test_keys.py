"""The lab's SSH keys are made once, kept to their owner, and pinned."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from invoke.config import Config
from invoke.context import Context

from lab.cache import Cache
from lab.errors import MpsocksError
from lab.keys import lab_keys
from lab.runner import Runner


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def runner() -> Runner:
    return Runner(Context())


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_two_different_pairs_are_made(cache: Cache, runner: Runner) -> None:
    keys = lab_keys(cache, runner)
    assert keys.client.public.startswith("ssh-ed25519 ")
    assert keys.host.public.startswith("ssh-ed25519 ")
    assert keys.client.public.split()[1] != keys.host.public.split()[1]


def test_the_public_text_belongs_to_the_private_key(cache: Cache, runner: Runner) -> None:
    pair = lab_keys(cache, runner).client
    derived = runner.read("ssh-keygen", "-y", "-f", pair.private)
    assert derived.split()[:2] == pair.public.split()[:2]


def test_nobody_else_can_read_them(cache: Cache, runner: Runner) -> None:
    keys = lab_keys(cache, runner)
    assert permissions(keys.client.private.parent) == 0o700
    assert {permissions(keys.client.private), permissions(keys.host.private)} == {0o600}


def test_the_second_time_they_are_the_same(cache: Cache, runner: Runner) -> None:
    assert lab_keys(cache, runner) == lab_keys(cache, runner)


def test_permissions_that_were_widened_are_narrowed_again(cache: Cache, runner: Runner) -> None:
    private = lab_keys(cache, runner).client.private
    private.chmod(0o644)
    lab_keys(cache, runner)
    assert permissions(private) == 0o600


def test_a_lost_public_key_is_reported(cache: Cache, runner: Runner) -> None:
    lab_keys(cache, runner).host.private.with_suffix(".pub").unlink()
    with pytest.raises(MpsocksError, match="is missing"):
        lab_keys(cache, runner)


def test_an_orphaned_public_key_does_not_stop_a_new_pair(cache: Cache, runner: Runner) -> None:
    first = lab_keys(cache, runner).client
    first.private.unlink()
    assert lab_keys(cache, runner).client.public != first.public


def test_known_hosts_pins_the_hosts_key_to_every_address(cache: Cache, runner: Runner, tmp_path: Path) -> None:
    keys = lab_keys(cache, runner)
    file = tmp_path / "known_hosts"
    file.write_text(keys.known_hosts(["10.66.6.2", "10.66.7.2"]))
    for address in ("10.66.6.2", "10.66.7.2"):
        assert keys.host.public.split()[1] in runner.read("ssh-keygen", "-F", address, "-f", file)


@pytest.fixture
def dry() -> Runner:
    return Runner(Context(Config(overrides={"run": {"dry": True}})))


def test_dry_makes_none(cache: Cache, dry: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    keys = lab_keys(cache, dry)
    assert keys.client.public == ""
    assert capsys.readouterr().out.count("ssh-keygen") == 2
    assert not cache.root.exists()


def test_dry_reads_those_there_are_and_leaves_them_as_they_are(cache: Cache, runner: Runner, dry: Runner) -> None:
    keys = lab_keys(cache, runner)
    keys.client.private.chmod(0o640)
    assert lab_keys(cache, dry) == keys
    assert permissions(keys.client.private) == 0o640


def test_dry_leaves_an_orphaned_public_key(cache: Cache, runner: Runner, dry: Runner) -> None:
    private = lab_keys(cache, runner).client.private
    private.unlink()
    assert lab_keys(cache, dry).client.public == ""
    assert private.with_suffix(".pub").exists()
