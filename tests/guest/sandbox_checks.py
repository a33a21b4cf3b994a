"""What systemd's sandboxing must forbid in the guest: a directive that the kernel cannot keep is silently not kept.

Each check is a command that works as it stands and must fail once the directives are in force. It runs as a oneshot
unit, as root unless the check names a user, since `systemd-run --wait` wants a message bus that the guest has not.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SandboxCheck:
    """`command` (for sh) succeeds without `directives` and fails with them."""

    directives: tuple[str, ...]
    command: str
    user: str = "root"
    prepare: str = "true"
    """Run as root outside the unit beforehand."""

    @property
    def name(self) -> str:
        return self.directives[0]

    def unit(self, *, sandboxed: bool) -> str:
        """The unit file, with the directives or, to show that the command works at all, without."""
        # A dollar sign would be systemd's to expand, and a percent sign too.
        quoted = shlex.quote(self.command).replace("$", "$$").replace("%", "%%")
        user = [] if self.user == "root" else [f"User={self.user}"]
        directives = self.directives if sandboxed else ()
        return "\n".join([
            "[Service]", "Type=oneshot", "TimeoutStartSec=30", f"ExecStart=/bin/sh -c {quoted}", *user, *directives, "",
        ])  # fmt: skip


def _python(code: str) -> str:
    return f'python3 -c "{code}"'


def _same_namespace(kind: str) -> str:
    return f"test $(readlink /proc/self/ns/{kind}) = $(readlink /proc/1/ns/{kind})"


READ_DISK = "head -c 1 /dev/vda > /dev/null"
CONNECT = _python("import socket; socket.create_connection(('127.0.0.1', 22), 5).close()")
BIND = _python("import socket; s = socket.socket(); s.bind(('127.0.0.1', 7999)); s.close()")
MAP_EXECUTABLE = _python("import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)")
FORK_TEN = _python("import os, time; all(os.fork() or time.sleep(1) or os._exit(0) for _ in range(10))")
FILL_MEMORY = _python("x = bytearray(64 << 20); print(len(x))")

CHECKS = (
    # The file system
    SandboxCheck(("ProtectSystem=strict",), "touch /var/probe && rm /var/probe"),
    SandboxCheck(("ProtectHome=yes",), "test -r /root/.ssh/authorized_keys"),
    SandboxCheck(("PrivateTmp=yes",), "test -e /tmp/seen-outside", prepare="touch /tmp/seen-outside"),
    SandboxCheck(("InaccessiblePaths=/etc/hostname",), "grep -q mpsocks /etc/hostname"),
    SandboxCheck(("NoExecPaths=/usr/bin/id",), "/usr/bin/id"),
    SandboxCheck(("PrivateMounts=yes",), _same_namespace("mnt")),
    # Devices
    SandboxCheck(("PrivateDevices=yes",), READ_DISK),
    SandboxCheck(("DevicePolicy=closed",), READ_DISK),
    # The kernel's own interfaces
    SandboxCheck(("ProtectKernelTunables=yes",), "sysctl -w net.ipv4.ip_default_ttl=64"),
    SandboxCheck(("ProtectKernelLogs=yes",), "dd if=/dev/kmsg bs=8k count=1 iflag=nonblock"),
    SandboxCheck(("ProtectControlGroups=yes",), "mkdir /sys/fs/cgroup/probe && rmdir /sys/fs/cgroup/probe"),
    SandboxCheck(("ProtectClock=yes",), 'date --set "$(date)"'),
    SandboxCheck(("ProtectHostname=yes",), "hostname mpsocks"),
    SandboxCheck(("ProtectProc=invisible",), "test -d /proc/1", user="mpsocks"),
    SandboxCheck(("ProcSubset=pid",), "test -e /proc/meminfo"),
    # Privileges
    SandboxCheck(
        ("NoNewPrivileges=yes",),
        'test "$(/var/lib/probe-id -u)" = 0',
        user="mpsocks",
        prepare="install -m 4755 /usr/bin/id /var/lib/probe-id",
    ),
    SandboxCheck(("CapabilityBoundingSet=~CAP_CHOWN",), "touch /run/probe && chown nobody /run/probe"),
    SandboxCheck(("PrivateUsers=yes",), "ip link set lo up"),
    SandboxCheck(("DynamicUser=yes",), 'test "$(id -u)" = 0'),
    SandboxCheck(("RestrictSUIDSGID=yes",), "touch /run/probe && chmod u+s /run/probe"),
    SandboxCheck(("RestrictRealtime=yes",), "chrt -f 1 true"),
    SandboxCheck(("RestrictNamespaces=yes",), "unshare --mount true"),
    SandboxCheck(("LockPersonality=yes",), "setarch x86_64 --addr-no-randomize true"),
    SandboxCheck(("MemoryDenyWriteExecute=yes",), MAP_EXECUTABLE),
    SandboxCheck(("SystemCallFilter=@system-service",), "mount -t tmpfs none /mnt && umount /mnt"),
    SandboxCheck(("PrivateIPC=yes",), _same_namespace("ipc")),
    # The network
    SandboxCheck(("PrivateNetwork=yes",), "ip link show mptcp0"),
    SandboxCheck(
        ("RestrictAddressFamilies=AF_INET AF_INET6",), _python("import socket; socket.socket(socket.AF_UNIX).close()")
    ),
    SandboxCheck(("IPAddressDeny=any",), CONNECT),
    SandboxCheck(("IPAddressDeny=any", "IPAddressAllow=10.66.0.0/16"), CONNECT),
    SandboxCheck(("SocketBindDeny=any",), BIND),
    SandboxCheck(("RestrictNetworkInterfaces=~lo",), CONNECT),
    # Resources
    SandboxCheck(("MemoryMax=32M",), FILL_MEMORY),
    SandboxCheck(("TasksMax=5",), FORK_TEN),
)
