"""Mirrors, sources and a private apt root: what of it can be known without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.context import Context, MockContext
from invoke.runners import Result

from lab.apt import (
    AptRoot,
    Archive,
    Mirrors,
    host_mirrors,
    host_settings,
    parse_mirrors,
    release_fields,
    render_sources,
    resolve,
    snapshot_id,
)
from lab.cache import Cache
from lab.errors import BadInputError, MpsocksError
from lab.runner import Runner

MIRRORS = Mirrors("http://mirror.example/debian/", "http://mirror.example/debian-security/")
TARGETS = """\
Example|Example Packages|http://example.org/packages/
Debian|Debian-Security|http://mirror.example/debian-security/
Debian|Debian|http://mirror.example/debian/
Debian|Debian|http://second.example/debian/
Debian Backports|Debian Backports|http://mirror.example/backports/
"""


def answering(stdout: str) -> Runner:
    """A Runner whose every command prints that."""
    return Runner(MockContext(run=Result(stdout), repeat=True))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_mirrors_are_the_first_of_debians_own_among_apts_targets() -> None:
    assert parse_mirrors(TARGETS) == MIRRORS


def test_a_host_without_a_security_mirror_has_none() -> None:
    assert parse_mirrors("Debian|Debian|http://mirror.example/debian/\n") == Mirrors("http://mirror.example/debian/")


def test_a_host_of_another_distribution_must_be_told_a_mirror() -> None:
    runner = answering("Example|Example|http://example.org/\n")
    with pytest.raises(MpsocksError, match="no Debian mirror is known"):
        host_mirrors(runner)
    assert host_mirrors(runner, "http://given.example/debian") == Mirrors("http://given.example/debian")


def test_a_given_mirror_replaces_the_hosts_and_leaves_the_other() -> None:
    assert host_mirrors(answering(TARGETS), "http://given.example/debian").security == MIRRORS.security


@pytest.mark.parametrize("url", ["http://mirror.example/debian", "https://[2001:db8::1]/debian/", "file:/srv/debian"])
def test_a_mirror_may_be_anywhere_that_apt_reads_from(url: str) -> None:
    assert host_mirrors(answering(TARGETS), url).main == url


@pytest.mark.parametrize(
    "text", ["not a url", "mirror.example/debian", "http://", "http://a b/", "http://a/\nSuites: x", "ftp://a/debian"]
)
def test_what_is_no_url_is_refused_as_a_mirror_without_asking_apt(text: str) -> None:
    with pytest.raises(BadInputError, match="is not the URL of an archive") as refused:
        host_mirrors(Runner(MockContext()), text)
    assert "--mirror http://" in refused.value.hint


def test_a_stable_suite_has_updates_and_security() -> None:
    text = render_sources(Archive("trixie", MIRRORS).sources())
    assert "URIs: http://mirror.example/debian/\nSuites: trixie trixie-updates\n" in text
    assert "URIs: http://mirror.example/debian-security/\nSuites: trixie-security\n" in text
    assert text.count("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg") == 2
    assert "Check-Valid-Until" not in text


def test_a_rolling_suite_is_alone() -> None:
    (source,) = Archive("sid", MIRRORS).sources()
    assert source.suites == ("sid",)


def test_a_snapshot_may_be_out_of_date() -> None:
    sources = Archive("trixie", MIRRORS, "20261120T000000Z").sources()
    assert all("Check-Valid-Until: no" in source.render() for source in sources)


def test_a_snapshot_is_named_by_day_or_by_second() -> None:
    assert snapshot_id("2026-11-20") == "20261120T000000Z"
    assert snapshot_id("20261120T063000Z") == "20261120T063000Z"


@pytest.mark.parametrize("date", ["yesterday", "2026-1-2", "20261120", "2026-11-20/../x", "2026-99-99"])
def test_what_is_no_date_is_refused(date: str) -> None:
    with pytest.raises(BadInputError, match="not a snapshot date"):
        snapshot_id(date)


def test_proxies_and_certificates_are_inherited_and_nothing_else() -> None:
    dump = """\
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::https::CaInfo "/etc/ssl/lab.pem";
Acquire::https::Proxy "";
Acquire::AllowInsecureRepositories "0";
Dir::State "var/lib/apt";
"""
    assert host_settings(answering(dump)) == (
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::https::CaInfo "/etc/ssl/lab.pem";',
    )


@pytest.mark.parametrize("suite", ["", "b@d", "../trixie", "-t", "trixie main"])
def test_what_cannot_be_a_suite_is_refused_without_asking_a_mirror(suite: str, cache: Cache) -> None:
    with pytest.raises(BadInputError, match="not the name of a Debian suite"):
        resolve(Runner(MockContext()), cache, suite, MIRRORS)


def test_a_suite_that_the_mirror_has_not_is_bad_input(tmp_path: Path, cache: Cache) -> None:
    empty = tmp_path / "mirror"
    empty.mkdir()
    with pytest.raises(BadInputError, match="no Debian suite 'nosuch'"):
        resolve(Runner(Context()), cache, "nosuch", Mirrors(f"file://{empty}"))


def test_a_cache_that_cannot_be_made_is_told_with_the_setting() -> None:
    with pytest.raises(MpsocksError, match=r"the folder /proc/x/apt/.* cannot be made"):
        resolve(Runner(MockContext()), Cache(Path("/proc/x")), "trixie", MIRRORS)


@pytest.mark.slow
def test_a_mirror_that_does_not_answer_is_no_fault_of_the_suite(cache: Cache) -> None:
    with pytest.raises(MpsocksError, match="cannot be fetched") as caught:
        resolve(Runner(Context()), cache, "trixie", Mirrors("http://127.0.0.1:9/debian"))
    assert not isinstance(caught.value, BadInputError)


def root_with_release(folder: Path, release: str) -> AptRoot:
    """A private root as it is after its lists were fetched."""
    (folder / "lists").mkdir()
    (folder / "lists/mirror_dists_trixie_InRelease").write_text(release)
    (folder / "apt.conf").write_text("")
    return AptRoot(Runner(Context()), folder, Archive("trixie", MIRRORS))


def test_the_snapshot_service_is_the_one_that_the_release_file_names(tmp_path: Path) -> None:
    release = "Origin: Test\nLabel: Lab\nSnapshots: http://old.example/debian/@SNAPSHOTID@/\n"
    root = root_with_release(tmp_path, release)
    assert root.snapshot_url("Lab", "20261120T000000Z") == "http://old.example/debian/20261120T000000Z/"


@pytest.mark.parametrize("release", ["Label: Lab\n", "Label: Lab\nSnapshots: no\n"])
def test_without_a_snapshot_service_a_date_is_bad_input(tmp_path: Path, release: str) -> None:
    with pytest.raises(BadInputError, match="no snapshot service is known"):
        root_with_release(tmp_path, release).snapshot_url("Lab", "20261120T000000Z")


def test_release_fields_are_read_from_a_signed_file() -> None:
    text = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nLabel: Debian\nCodename: trixie\nSHA256:\n 00 1 main\n"
    assert release_fields(text)["Codename"] == "trixie"


def test_the_private_root_keeps_to_itself(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    with pytest.raises(BadInputError):
        resolve(Runner(Context()), cache, "nosuch", Mirrors(f"file://{tmp_path}/mirror"))
    (folder,) = (path for path in (cache.root / "apt").iterdir() if path.is_dir())
    # As apt itself reads it: the file comes after the host's own settings and wins.
    dump = Runner(Context()).read("apt-config", "-c", folder / "apt.conf", "dump")
    settings = dict(line.rstrip(";").split(" ", 1) for line in dump.splitlines() if " " in line)
    assert settings["Dir::State"] == f'"{folder}"'
    assert settings["Dir::Etc::sourcelist"] == f'"{folder}/lab.sources"'
    assert not [
        value for name, value in settings.items() if name.startswith("APT::Update::Post-Invoke") and value != '""'
    ]
