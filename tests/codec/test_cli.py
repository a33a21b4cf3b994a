"""`python -m codec`, run as a program and, for its details, in this process."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys

import pytest

from codec.__main__ import EPILOG, EXAMPLES, main
from codec.kinds import DRAFTS, KINDS
from codec.reply import ReplyCode
from codec.socks6 import stack
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import options as options04
from tests.codec import vectors

KIND_OF_VECTOR = {
    "req": "request", "auth": "auth-reply", "op": "operation-reply", "ver": "mismatch",
    "uinit": "udp", "uconf": "udp", "udgram": "udp", "uerr": "udp",
}  # fmt: skip
CASES = [case for case in vectors.load() if case.is_sent and case.kind in KIND_OF_VECTOR]


def run(line: str, given: str) -> int:
    return main(line.split(), io.StringIO(given))


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_each_kind_decodes_and_encodes_back(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"decode {kind}", EXAMPLES[kind]) == 0
    described = capsys.readouterr().out
    assert run(f"encode {kind}", described) == 0
    assert capsys.readouterr().out == EXAMPLES[kind] + "\n"


@pytest.mark.slow
def test_what_the_help_shows_works_in_a_shell() -> None:
    commands = EPILOG.split("examples, each of which `encode` turns back:\n")[1].split("exit codes")[0]
    commands = commands.replace("In JSON the keys are the fields, enums stand by name and octets in hex:", "")
    script = "set -euo pipefail\n" + commands.replace("python -m", f"{shlex.quote(sys.executable)} -m")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout[: done.stdout.index("}\n{") + 1])["command"] == "CONNECT"
    assert done.stdout.splitlines()[-1] == EXAMPLES["request"]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_every_vector_survives_the_way_through_json(case: vectors.Case, capsys: pytest.CaptureFixture[str]) -> None:
    kind = KIND_OF_VECTOR[case.kind]
    assert run(f"decode --draft {case.draft} {kind}", case.octets.hex()) == 0
    assert run(f"encode --draft {case.draft} {kind}", capsys.readouterr().out) == 0
    assert capsys.readouterr().out.strip() == case.octets.hex()


@pytest.mark.parametrize("draft", DRAFTS)
def test_each_draft_has_every_kind(draft: str) -> None:
    assert tuple(DRAFTS[draft].kinds) == KINDS


def test_udp_of_draft_04_is_that_of_socks5(capsys: pytest.CaptureFixture[str]) -> None:
    packet = "000000" + "01c0000235" + "0035" + "6869"
    assert run("decode --draft 04 udp", packet) == 0
    described = capsys.readouterr().out
    assert json.loads(described)["data"] == "6869"
    assert run("encode --draft 04 udp", described) == 0
    assert capsys.readouterr().out.strip() == packet


def test_options_of_draft_04_have_their_own_names(capsys: pytest.CaptureFixture[str]) -> None:
    option = options04.MultipathScheduler(stack.Leg.BOTH, options04.Scheduler.REDUNDANT)
    kind = DRAFTS["04"].kinds["operation-reply"]
    reply = messages04.OperationReply(ReplyCode.SUCCEEDED, options=(option,))
    assert run("decode --draft 04 operation-reply", kind.encode(reply, 6).hex()) == 0
    assert json.loads(capsys.readouterr().out)["options"] == [
        {"option": "MultipathScheduler", "leg": "BOTH", "scheduler": "REDUNDANT"}
    ]


@pytest.mark.parametrize(
    ("line", "given", "code", "complaint"),
    [
        ("decode request", "0601", 2, "2 octets are not the whole message"),
        ("decode request", "", 2, "0 octets"),
        ("decode request", "0601000000500002", 3, "unknown address type 2"),
        ("decode request", "0501", 4, "version 5, not 6"),
        ("decode --version 0xcf request", "0601", 4, "version 6, not 207"),
        ("decode mismatch", "cf", 4, "version 207, not 6"),
        ("decode request", "06 0", 1, "not hex"),
        ("encode request", "{", 1, "not JSON"),
        ("encode request", "{}", 3, "command, address, port is missing"),
        ("encode mismatch", '{"version": 256}', 3, "out of its range"),
    ],
)
def test_exit_codes_tell_what_is_wrong(
    line: str, given: str, code: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line, given) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err


@pytest.mark.parametrize("line", ["decode", "decode reply", "decode --version 256 request", "decode --version x udp"])
def test_a_wrong_option_is_not_mistaken_for_need_more(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(line, "")
    assert caught.value.code == 1
    assert "usage: " in capsys.readouterr().err


def test_the_version_octet_can_be_set_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("decode --version 0xd4 request", "d4" + EXAMPLES["request"][2:]) == 0
    described = capsys.readouterr().out
    assert run("encode --version 0xd4 request", described) == 0
    assert capsys.readouterr().out.startswith("d401")


def test_what_was_dropped_and_what_follows_is_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    empty_window = "000b000800000000"
    assert run("decode request", f"0600 0008 0000 0001 00000000 {empty_window} ffff") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["options"] == []
    assert "dropped the option of kind 11 at octet 0" in err
    assert "2 octets follow the message" in err
