"""Settings come from Invoke's layered configuration, and are refused by name when they are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from invoke.config import Config

from lab.errors import BadInputError
from lab.settings import SECTIONS, Settings, defaults, parse, split_list


def configured(**values: Any) -> Settings:
    """The settings of an Invoke configuration whose `mpsocks` has these values over the defaults."""
    return parse(Config(defaults=defaults(), overrides={"mpsocks": values}, lazy=True).mpsocks)


def refusal(values: Mapping[str, Any]) -> BadInputError:
    with pytest.raises(BadInputError) as refused:
        configured(**values)
    assert refused.value.hint or refused.value.why
    return refused.value


def test_without_any_configuration_the_defaults_hold() -> None:
    assert configured() == Settings()


def test_every_setting_has_its_default_in_invokes_configuration() -> None:
    listed = defaults()["mpsocks"]
    assert set(listed) == {*SECTIONS, "uri", "cache", "state"}
    assert listed["guest"]["memory"] == "512"
    assert parse(listed) == Settings()


def test_a_value_replaces_only_its_own_default() -> None:
    settings = configured(guest={"memory": 1024}, image={"suite": "bookworm"})
    assert (settings.guest.memory, settings.guest.cpus) == (1024, 2)
    assert (settings.image.suite, settings.image.mirror) == ("bookworm", "")


@pytest.mark.parametrize(
    ("values", "said", "hint"),
    [
        ({"guest": {"memry": 512}}, "mpsocks.guest.memry", "did you mean mpsocks.guest.memory?"),
        ({"gust": {"memory": 512}}, "mpsocks.gust", "did you mean mpsocks.guest?"),
        ({"image": {"zzz": ""}}, "mpsocks.image.zzz", "known are: suite, mirror, snapshot"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known(values: dict[str, Any], said: str, hint: str) -> None:
    error = refusal(values)
    assert said in error.what
    assert hint in error.hint


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"guest": {"memory": "abc"}}, "mpsocks.guest.memory"),
        ({"guest": {"memory": 512.0}}, "mpsocks.guest.memory"),
        ({"guest": {"memory": ""}}, "mpsocks.guest.memory"),
        ({"guest": {"cpus": True}}, "mpsocks.guest.cpus"),
        ({"kernel": {"stock": 1}}, "mpsocks.kernel.stock"),
        ({"kernel": {"stock": "maybe"}}, "mpsocks.kernel.stock"),
        ({"image": {"suite": 13}}, "mpsocks.image.suite"),
        ({"uri": 5}, "mpsocks.uri"),
        ({"state": None}, "mpsocks.state"),
        ({"cache": ["/tmp"]}, "mpsocks.cache"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_name(values: dict[str, Any], name: str) -> None:
    assert refusal(values).what.startswith(f"{name} is ")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"guest": {"accel": "xen"}}, "mpsocks.guest.accel is 'xen'"),
        ({"guest": {"memory": 255}}, "255 MiB"),
        ({"guest": {"cpus": 0}}, "0 processors"),
        ({"guest": {"cpus": 65}}, "65 processors"),
        ({"guest": {"boot_timeout": 0}}, "mpsocks.guest.boot_timeout is 0"),
        ({"guest": {"nameservers": "192.0.2.53,one.test"}}, "mpsocks.guest.nameservers"),
    ],
)
def test_values_that_could_not_work_are_refused(values: dict[str, Any], said: str) -> None:
    assert said in refusal(values).what


@pytest.mark.parametrize("accel", ["auto", "kvm", "tcg"])
def test_each_acceleration_can_be_chosen(accel: str) -> None:
    assert configured(guest={"accel": accel}).guest.accel == accel


class TestEnvironment:
    """`INVOKE_MPSOCKS_…` variables, read by Invoke itself."""

    @staticmethod
    def read() -> Settings:
        config = Config(defaults=defaults(), lazy=True)
        config.load_shell_env()
        return parse(config.mpsocks)

    def test_variables_set_settings_of_every_type(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INVOKE_MPSOCKS_GUEST_MEMORY", "768")
        monkeypatch.setenv("INVOKE_MPSOCKS_GUEST_BOOT_TIMEOUT", "30")
        monkeypatch.setenv("INVOKE_MPSOCKS_KERNEL_STOCK", "1")
        monkeypatch.setenv("INVOKE_MPSOCKS_GUEST_NAMESERVERS", "192.0.2.53, 2001:db8::53")
        monkeypatch.setenv("INVOKE_MPSOCKS_URI", "qemu:///system")
        settings = self.read()
        assert (settings.guest.memory, settings.guest.boot_timeout, settings.kernel.stock) == (768, 30, True)
        assert split_list(settings.guest.nameservers) == ("192.0.2.53", "2001:db8::53")
        assert settings.uri == "qemu:///system"

    @pytest.mark.parametrize(
        ("text", "stock"), [("0", False), ("", False), ("no", False), ("true", True), ("On", True)]
    )
    def test_a_switch_has_several_spellings(self, monkeypatch: pytest.MonkeyPatch, text: str, stock: bool) -> None:
        monkeypatch.setenv("INVOKE_MPSOCKS_KERNEL_STOCK", text)
        assert self.read().kernel.stock is stock

    @pytest.mark.parametrize(
        ("variable", "setting", "wanted"),
        [
            ("GUEST_MEMORY", "mpsocks.guest.memory", "a whole number, such as 512"),
            ("TESTBED_FIXED_DOWN", "mpsocks.testbed.fixed_down", "a whole number"),
            ("KERNEL_STOCK", "mpsocks.kernel.stock", "true or false"),
        ],
    )
    def test_one_that_cannot_be_read_is_refused_like_any_setting(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, setting: str, wanted: str
    ) -> None:
        monkeypatch.setenv(f"INVOKE_MPSOCKS_{variable}", "abc")
        with pytest.raises(BadInputError, match=f"{setting} is 'abc'") as refused:
            self.read()
        assert wanted in refused.value.hint


class TestFolders:
    def test_cache_and_state_follow_the_xdg_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "/var/one")
        monkeypatch.setenv("XDG_STATE_HOME", "/var/two")
        assert Settings().cache_folder == Path("/var/one/mpsocks")
        assert Settings().state_folder == Path("/var/two/mpsocks")

    def test_without_them_they_are_in_the_home_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "")
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/home/ada")
        assert Settings().cache_folder == Path("/home/ada/.cache/mpsocks")
        assert Settings().state_folder == Path("/home/ada/.local/state/mpsocks")

    def test_a_setting_wins_over_the_variables(self) -> None:
        assert Settings(cache="/c", state="/s").cache_folder == Path("/c")
        assert Settings(cache="/c", state="/s").state_folder == Path("/s")

    def test_they_are_absolute_however_they_are_written(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", "/home/ada")
        assert Settings(cache="here").cache_folder == tmp_path / "here"
        assert Settings(state="~/there").state_folder == Path("/home/ada/there")


def test_lists_are_separated_by_commas_and_forgive_blanks() -> None:
    assert split_list(" wlp1s0 , wlan1,,") == ("wlp1s0", "wlan1")
    assert split_list("") == ()
