"""What to measure toward: how a person names targets, and what the settings know of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from lab.errors import BadInputError, MpsocksError
from lab.runner import Runner
from lab.settings import NeutralitySettings, split_list
from traces.checking.fetch import Target as Named
from traces.checking.fetch import resolve
from traces.neutrality.measuring import Aim

FORM = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/=:\[\]]+):(?P<port>\d{1,5})(?P<path>/[^\s=]*)?(=(?P<known>\w+))?")
KNOWN = {None: None, "mptcp": True, "tcp": False}
FEWEST = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """A target as it was named, not yet resolved."""

    host: str
    port: int
    path: str
    speaks_mptcp: bool | None

    def resolved(self, runner: Runner, family: int) -> Aim:
        """With an address of that family (4 or 6), as the name resolves there; `MpsocksError` when it does not."""
        try:
            literal = [ip_address(self.host)]
        except ValueError:
            literal = []
        found = resolve(Named("", self.host, self.port, tuple(literal)), runner, (family,)).addresses
        fitting = [address for address in found if address.version == family]
        if not fitting:
            raise MpsocksError(
                f"no IPv{family} address of {self.host} is known",
                hint=f"try `getent ahosts {self.host}` on the lab host, or name an address",
            )
        return Aim(self.host, fitting[0], self.port, self.path, self.speaks_mptcp)


def parse_targets(named: Sequence[str], settings: NeutralitySettings) -> tuple[Wanted, ...]:
    """The targets that were named, or else those of the settings; `BadInputError` when they are too few.

    What a target leaves open is taken from the settings, when they know it. A single one gets company: of the targets
    in the settings those that are known not to speak MPTCP; so do several that all speak it.
    """
    usual = {(one.host, one.port): one for one in (_parse(text, settings) for text in split_list(settings.targets))}
    chosen = [_parse(text, settings) for words in named for text in split_list(words)]
    chosen = [_completed(one, usual.get((one.host, one.port)), settings) for one in chosen] or list(usual.values())
    chosen = list(dict.fromkeys(chosen))
    if _lack_company(chosen):
        chosen += [one for one in usual.values() if one.speaks_mptcp is False and one not in chosen]
    if _lack_company(chosen):
        raise BadInputError(
            f"{len(chosen)} targets are too few" if len(chosen) < FEWEST else "every target speaks MPTCP",
            why="a server that does not speak MPTCP shows what has nothing to do with MPTCP",
            hint="name two or more: --target server.that.speaks:80/file=mptcp,another.server:80/file=tcp",
        )
    return tuple(chosen)


def _lack_company(targets: Sequence[Wanted]) -> bool:
    """One of two or more must not be known to speak MPTCP."""
    return len(targets) < FEWEST or all(one.speaks_mptcp for one in targets)


def _parse(text: str, settings: NeutralitySettings) -> Wanted:
    match = FORM.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 1 << 16 or match["known"] not in KNOWN:
        raise BadInputError(
            f"{text!r} is not a target",
            hint="it is HOST:PORT, HOST:PORT/PATH of a large file, either with =mptcp or =tcp when that is what the "
            "server speaks",
        )
    host = match["host"].strip("[]")
    return Wanted(host, int(match["port"]), match["path"] or settings.path, KNOWN[match["known"]])


def _completed(one: Wanted, usual: Wanted | None, settings: NeutralitySettings) -> Wanted:
    if usual is None:
        return one
    speaks = usual.speaks_mptcp if one.speaks_mptcp is None else one.speaks_mptcp
    return dataclasses.replace(one, speaks_mptcp=speaks, path=usual.path if one.path == settings.path else one.path)
