"""The users file: what is in it, who may read it, and what checking a password costs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from proxy.options import StartError
from proxy.users import MOST_WORK, Hash, Users, check_name

SALT = "00" * 16
DIGEST = "11" * 32
# RFC 7914 section 12, the third vector.
VECTOR = (
    "scrypt:16384:8:1:536f6469756d43686c6f72696465:7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
)


def cheap(password: bytes, n: int = 1024) -> Hash:
    """A hash that takes a millisecond or so to check."""
    return Hash(b"salt" * 4, hashlib.scrypt(password, salt=b"salt" * 4, n=n, r=8, p=1, dklen=32), n)


def written(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users"


class TestHash:
    def test_is_scrypt_as_published(self) -> None:
        assert Hash.parse(VECTOR).matches(b"pleaseletmein")
        assert not Hash.parse(VECTOR).matches(b"pleaseletmeim")

    def test_is_read_as_it_is_written(self) -> None:
        made = Hash.of(b"secret")
        assert str(made).startswith("scrypt:16384:8:1:")
        assert Hash.parse(str(made)) == made
        assert made.matches(b"secret")

    def test_of_the_same_password_is_another_each_time(self) -> None:
        assert Hash.of(b"secret").digest != Hash.of(b"secret").digest

    def test_is_not_shown(self) -> None:
        made = Hash.parse(VECTOR)
        assert repr(made) == "Hash(n=16384, r=8, p=1)"

    def test_may_take_as_much_memory_as_its_parameters_need(self) -> None:
        text = f"scrypt:{1 << 16}:8:1:{SALT}:{DIGEST}"
        assert not Hash.parse(text).matches(b"secret")


class TestFile:
    def test_holds_a_user_a_line_and_comments(self, path: Path) -> None:
        text = f"# staff\n\nalice:{cheap(b'one')}\r\nzoë:{cheap(b'two')}\n#bob:{cheap(b'three')}"
        users = Users.load(written(path, text))
        assert users.check(b"alice", b"one")
        assert users.check("zoë".encode(), b"two")
        assert not users.check(b"alice", b"two")
        assert not users.check(b"#bob", b"three")
        assert not users.check(b"bob", b"three")

    def test_without_users_lets_nobody_in(self, path: Path) -> None:
        assert not Users.load(written(path, "")).check(b"", b"")

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o400, 0o700])
    def test_may_be_its_groups_to_read(self, path: Path, mode: int) -> None:
        assert Users.load(written(path, f"alice:{cheap(b'one')}\n", mode)).check(b"alice", b"one")

    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o602])
    def test_open_to_others_is_refused_with_the_command_that_mends_it(self, tmp_path: Path, mode: int) -> None:
        path = written(tmp_path / "the users", f"alice:{cheap(b'one')}\n", mode)
        with pytest.raises(StartError, match="mend it: ") as caught:
            Users.load(path)
        mend = str(caught.value).partition("mend it: ")[2]
        assert os.waitstatus_to_exitcode(os.system(mend)) == 0
        assert Users.load(path).check(b"alice", b"one")

    def test_that_is_not_there_is_told(self, path: Path) -> None:
        with pytest.raises(StartError, match=f"cannot read {path}: No such file or directory"):
            Users.load(path)

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("alice", "right is name:scrypt:N:r:p:salt:hash"),
            ("alice:secret", "right is name:scrypt:N:r:p:salt:hash"),
            (f"alice:bcrypt:16384:8:1:{SALT}:{DIGEST}", "right is"),
            (f"alice:scrypt:16384:8:1:{SALT}", "right is"),
            (f"alice:scrypt:16384:8:1:{SALT}:{DIGEST}:", "right is"),
            (f"alice:scrypt:-16384:8:1:{SALT}:{DIGEST}", "right is"),
            (f"alice:scrypt:16384:8:\u0661:{SALT}:{DIGEST}", "right is"),
            (f"alice:scrypt:16384:8:1:{SALT[:14]}:{DIGEST}", "right is"),
            (f"alice:scrypt:16384:8:1:{SALT}:{DIGEST[:-1]}", "right is"),
            (f"alice:scrypt:16384:8:1:{SALT}:{DIGEST[:30]}", "right is"),
            (f"alice:scrypt:512:8:1:{SALT}:{DIGEST}", "N is a power of 2 from 1024"),
            (f"alice:scrypt:16385:8:1:{SALT}:{DIGEST}", "N is a power of 2"),
            (f"alice:scrypt:16384:0:1:{SALT}:{DIGEST}", "r and p at least 1"),
            (f"alice:scrypt:16384:8:0:{SALT}:{DIGEST}", "r and p at least 1"),
            (f"alice:scrypt:16384:8:9:{SALT}:{DIGEST}", f"at most {MOST_WORK}"),
            (f"bob:scrypt:16384:8:1:{SALT}:{DIGEST}", "bob is there already"),
            (f":scrypt:16384:8:1:{SALT}:{DIGEST}", "1 to 255 octets"),
            (f" alice:scrypt:16384:8:1:{SALT}:{DIGEST}", "no blank around it"),
        ],
    )
    def test_says_which_line_is_wrong_and_what_is_right(self, path: Path, line: str, told: str) -> None:
        text = f"# one\nbob:scrypt:16384:8:1:{SALT}:{DIGEST}\n\n{line}\n"
        with pytest.raises(StartError, match=f"{path}, line 4: ") as caught:
            Users.load(written(path, text))
        assert told in str(caught.value)
        assert DIGEST[:30] not in str(caught.value)

    def test_says_which_line_is_not_utf_8(self, path: Path) -> None:
        with pytest.raises(StartError, match="line 2: names are written in UTF-8"):
            Users.load(written(path, b"# one\nzo\xeb:scrypt\n"))


@pytest.mark.parametrize("name", ["alice", "zoë", "a" * 255, "first last", "DOMAIN\\user", "a@b"])
def test_names_that_can_be_kept(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name", ["", "a" * 256, "ë" * 128, "a:b", "#a", " a", "a ", "a\nb", "a\0", "\udcff", "a\u2028b"]
)
def test_names_that_cannot(name: str) -> None:
    with pytest.raises(ValueError, match="a name has"):
        check_name(name)


def test_a_name_that_there_is_not_takes_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    costs: list[int] = []
    scrypt = hashlib.scrypt

    def counted(password: bytes, *, n: int, **rest: Any) -> bytes:
        costs.append(n)
        return scrypt(password, n=n, **rest)

    users = Users({b"alice": cheap(b"one", 1024), b"bob": cheap(b"two", 2048)})
    monkeypatch.setattr("hashlib.scrypt", counted)
    names = [b"eve%d" % number for number in range(40)]
    assert not any(users.check(name, b"one") for name in names)
    first, costs[:] = list(costs), []
    assert len(first) == len(names)
    assert set(first) == {1024, 2048}
    assert not any(users.check(name, b"two") for name in names)
    assert costs == first
