"""What is counted, and how Prometheus is told."""

from __future__ import annotations

import ast
import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from codec.reply import ReplyCode
from proxy.exporter import MOST_REQUESTS
from proxy.metrics import BUCKETS, CELLS, MOST_BLOCKS, REASONS, Board, Counters, exposition
from tests.proxy.peers import connected_socket, receive_all, receive_exactly, socks5_request, socks6_request, tunnel
from tests.proxy.running import LOOPBACK, PATIENCE, ROOT, RunningProxy
from tests.proxy.waiting import eventually

ARGUMENTS = (
    "serve", "--listen", "127.0.0.1:0", "--workers", "2", *LOOPBACK, "--set", 'operations.metrics="127.0.0.1:0"',
)  # fmt: skip

ENDING = ("end", "_send_or_end", "_turn_away")


def samples(text: str) -> dict[str, float]:
    """By name with labels."""
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    }


@pytest.fixture
def board() -> Board:
    return Board()


def counters_of(board: Board) -> tuple[int, Counters]:
    number = board.take()
    assert number is not None
    return number, Counters(board.block(number))


def test_what_processes_count_is_added_up(board: Board) -> None:
    (_, one), (_, other) = counters_of(board), counters_of(board)
    for counters in (one, other, other):
        counters.accepted()
    one.ended("socks5", "refused: not allowed")
    other.ended("socks4", "something new")
    other.ended("something new", "closed")
    one.relayed(5, 7)
    other.relayed(1, 0)
    one.replied(ReplyCode.NOT_ALLOWED)
    one.wrong_password()
    one.connected(0.1, asked=True, got=False)
    one.lines_dropped(9)
    for counters in (one, other):
        counters.publish()
    told = samples(exposition(board.totals()))
    assert {name: value for name, value in told.items() if value and "_seconds" not in name} == {
        "mpsocks_connections_accepted_total": 3,
        'mpsocks_connections_ended_total{protocol="socks5",reason="refused"}': 1,
        'mpsocks_connections_ended_total{protocol="socks4",reason="other"}': 1,
        'mpsocks_connections_ended_total{protocol="unknown",reason="closed"}': 1,
        'mpsocks_relayed_bytes_total{direction="up"}': 6,
        'mpsocks_relayed_bytes_total{direction="down"}': 7,
        'mpsocks_replies_total{code="not_allowed"}': 1,
        "mpsocks_authentication_failures_total": 1,
        'mpsocks_remote_connections_total{asked="mptcp",got="tcp"}': 1,
        "mpsocks_log_lines_dropped_total": 9,
    }
    assert told["mpsocks_connections_open"] == 0


def test_latencies_fall_into_buckets_that_hold_all_smaller_ones(board: Board) -> None:
    _, counters = counters_of(board)
    for seconds in (0.0, BUCKETS[0], 0.3, 100.0):
        counters.requested(seconds)
    counters.publish()
    told = samples(exposition(board.totals()))
    name = "mpsocks_handshake_seconds"
    assert [told[f'{name}_bucket{{le="{bound}"}}'] for bound in (0.001, 0.25, 0.5, 10.0, "+Inf")] == [2, 2, 3, 3, 4]
    assert told[f"{name}_sum"] == pytest.approx(100.301)
    assert told[f"{name}_count"] == 4


def test_the_text_is_what_prometheus_reads(board: Board) -> None:
    lines = exposition(board.totals()).splitlines()
    label = r'[a-z_]+="[^"\\\n]*"'
    assert all(
        re.fullmatch(rf"# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{{{label}(,{label})*\}})? [0-9.]+(e[+-]?[0-9]+)?", line)
        for line in lines
    )
    kinds = [line for line in lines if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds)) >= 10


def test_counters_outlive_their_process_and_open_connections_do_not(board: Board) -> None:
    number, counters = counters_of(board)
    for _ in range(3):
        counters.accepted()
    counters.ended("socks5", "closed")
    counters.relayed(5, 7)
    counters.publish()
    assert samples(exposition(board.totals()))["mpsocks_connections_open"] == 2
    board.retire(number)
    told = samples(exposition(board.totals()))
    assert told["mpsocks_connections_open"] == 0
    assert told["mpsocks_connections_accepted_total"] == 3
    assert told['mpsocks_relayed_bytes_total{direction="down"}'] == 7
    assert told['mpsocks_connections_ended_total{protocol="unknown",reason="worker died"}'] == 2
    again, fresh = counters_of(board)
    assert again == number
    fresh.accepted()
    fresh.publish()
    assert samples(exposition(board.totals()))["mpsocks_connections_accepted_total"] == 4


def test_a_connection_that_moves_between_processes_is_counted_once(board: Board) -> None:
    (number, first), (_, second) = counters_of(board), counters_of(board)
    first.accepted()
    second.accepted()
    first.given_away()
    second.ended("socks6", "closed")
    first.publish()
    second.publish()
    board.retire(number)
    told = samples(exposition(board.totals()))
    assert told["mpsocks_connections_accepted_total"] == 1
    assert told['mpsocks_connections_ended_total{protocol="unknown",reason="worker died"}'] == 0


def test_blocks_are_bounded(board: Board) -> None:
    taken = [board.take() for _ in range(MOST_BLOCKS)]
    assert taken[-1] is None
    assert len(set(taken)) == MOST_BLOCKS
    assert len(board.block(MOST_BLOCKS - 1)) == CELLS


def reasons_in(path: Path) -> Iterator[str]:
    """What calls that end a session give as the reason in a module, up to a colon."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ENDING:
            for argument in node.args:
                choices = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
                yield from (str(one.value).partition(":")[0] for one in choices if isinstance(one, ast.Constant))


@pytest.mark.parametrize("path", sorted((ROOT / "proxy").glob("*.py")), ids=lambda path: path.stem)
def test_every_reason_for_an_end_is_counted_by_name(path: Path) -> None:
    assert set(reasons_in(path)) - {""} <= set(REASONS)


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    with RunningProxy(*ARGUMENTS) as running:
        yield running


def metrics_address(proxy: RunningProxy) -> tuple[str, int]:
    host, _, port = proxy.wait_for(lambda line: line["event"] == "listening")["metrics"].rpartition(":")
    return host, int(port)


def scrape(proxy: RunningProxy, path: str = "/metrics") -> dict[str, float]:
    host, port = metrics_address(proxy)
    with urlopen(f"http://{host}:{port}{path}", timeout=PATIENCE) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return samples(response.read().decode())


def test_connections_are_counted_while_they_last_and_when_they_end(proxy: RunningProxy, echo_port: int) -> None:
    before = scrape(proxy)

    def more(name: str) -> float:
        return scrape(proxy)[name] - before[name]

    with tunnel(proxy.address, socks6_request("127.0.0.1", echo_port)) as t:
        t.socket.sendall(b"hello")
        assert receive_exactly(t.socket, 5) == b"hello"
        assert eventually(lambda: more("mpsocks_connections_open") == 1)
        assert eventually(lambda: more('mpsocks_relayed_bytes_total{direction="up"}') == 5)
        local = t.socket.getsockname()
    proxy.connection(client=f"127.0.0.1:{local[1]}")
    assert more("mpsocks_connections_open") == 0
    assert more("mpsocks_connections_accepted_total") == 1
    assert more('mpsocks_relayed_bytes_total{direction="up"}') == 5
    assert more('mpsocks_relayed_bytes_total{direction="down"}') == 5
    assert more('mpsocks_replies_total{code="succeeded"}') == 1
    assert more('mpsocks_remote_connections_total{asked="mptcp",got="tcp"}') == 1
    assert more("mpsocks_handshake_seconds_count") == 1
    assert more("mpsocks_connect_seconds_count") == 1
    assert more('mpsocks_connections_ended_total{protocol="socks6",reason="closed"}') == 1


def test_refusals_are_counted_by_code(proxy: RunningProxy) -> None:
    before = scrape(proxy)
    with tunnel(proxy.address, socks5_request("169.254.169.254", 80)) as t:
        assert t.code is ReplyCode.NOT_ALLOWED
        local = t.socket.getsockname()
    proxy.connection(client=f"127.0.0.1:{local[1]}")
    name = 'mpsocks_replies_total{code="not_allowed"}'
    assert scrape(proxy)[name] - before[name] == 1


@pytest.mark.slow
def test_counters_survive_workers_the_exporter_and_reloads(echo_port: int) -> None:
    with RunningProxy(*ARGUMENTS) as proxy, ExitStack() as held:
        tunnels = [held.enter_context(tunnel(proxy.address, socks5_request("127.0.0.1", echo_port))) for _ in range(12)]
        assert eventually(lambda: scrape(proxy)["mpsocks_connections_accepted_total"] == len(tunnels))
        os.kill(proxy.workers[0], signal.SIGKILL)
        proxy.wait_for(lambda line: line["event"] == "worker started")
        died = scrape(proxy)['mpsocks_connections_ended_total{protocol="unknown",reason="worker died"}']
        assert 0 < died < len(tunnels)
        proxy.signal(signal.SIGHUP)
        proxy.wait_for(lambda line: line["event"] == "reloaded")
        told = scrape(proxy)
        assert told["mpsocks_connections_accepted_total"] == len(tunnels)
        assert told["mpsocks_connections_open"] == len(tunnels) - died
        exporter = next(pid for pid in children(proxy.pid) if pid not in workers(proxy))
        os.kill(exporter, signal.SIGKILL)
        proxy.wait_for(lambda line: line["event"] == "exporter ended" and line["pid"] == exporter)
        assert scrape(proxy)["mpsocks_connections_accepted_total"] == len(tunnels)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers(proxy: RunningProxy) -> set[int]:
    return {pid for line in proxy.lines for pid in line.get("workers", ())}


def test_the_exporter_goes_with_the_supervisor() -> None:
    with RunningProxy(*ARGUMENTS) as proxy:
        address = metrics_address(proxy)
        proxy.signal(signal.SIGKILL)
        assert eventually(lambda: is_closed(address))


def is_closed(address: tuple[str, int]) -> bool:
    try:
        connected_socket(address).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(("request_line", "status"), [("GET / HTTP/1.0", 404), ("POST /metrics HTTP/1.0", 501)])
def test_nothing_else_is_answered(proxy: RunningProxy, request_line: str, status: int) -> None:
    with connected_socket(metrics_address(proxy)) as sock:
        sock.sendall(f"{request_line}\r\n\r\n".encode())
        assert receive_all(sock).startswith(f"HTTP/1.0 {status} ".encode())


def test_an_unknown_path_is_an_error(proxy: RunningProxy) -> None:
    with pytest.raises(HTTPError, match="404"):
        scrape(proxy, "/metrics/")


@pytest.mark.slow
def test_who_says_nothing_is_cut_and_more_than_a_few_are_not_heard(proxy: RunningProxy) -> None:
    with ExitStack() as held:
        silent = [held.enter_context(connected_socket(metrics_address(proxy))) for _ in range(MOST_REQUESTS)]
        with connected_socket(metrics_address(proxy)) as one_more:
            assert one_more.recv(1) == b""
        for sock in silent:
            sock.sendall(b"G")
            assert receive_all(sock) == b""
    assert scrape(proxy)
