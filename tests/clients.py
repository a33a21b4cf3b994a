"""Programs that people use with a SOCKS proxy, called as people call them: curl, ssh behind nc, a browser."""

from __future__ import annotations

from pathlib import Path

PATIENCE = 60
"""Seconds that a program may take before it is a failure; over the lab's slow uplinks most take a few."""


def curl(form: str, proxy: str, url: str, *more: str) -> list[str]:
    """`form` is curl's option for the proxy, such as `--socks5-hostname`."""
    return ["curl", "--silent", "--show-error", "--max-time", str(PATIENCE), form, proxy, *more, url]


def ssh(proxy: str, host: str, port: int, files: Path, command: str, *, socks: int = 5) -> list[str]:
    """Public key and pinned host key are in the folder `files`; a person's own settings and keys are left out."""
    options = {
        "ProxyCommand": f"nc -X {socks} -x {proxy} %h %p",
        "BatchMode": "yes",
        "IdentityAgent": "none",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(files / "known_hosts"),
        "GlobalKnownHostsFile": "none",
    }
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "none", "-i", str(files / "key"), "-p", str(port), *given, f"somebody@{host}", command]


def browser(proxy: str, url: str, profile: Path) -> list[str]:
    """Chromium without a window: loads the page, runs its scripts until nothing is left to fetch, prints the DOM."""
    return [
        "chromium-headless-shell",
        # Its sandbox refuses to run for root, and shared memory is short in containers.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
        f"--proxy-server=socks5://{proxy}",
        # Or loopback addresses would be reached past the proxy.
        "--proxy-bypass-list=<-loopback>",
        f"--virtual-time-budget={PATIENCE * 1000}",
        "--dump-dom",
        url,
    ]
