"""A look around from inside a container, with bash and coreutils alone: what can this process do here?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tests.upstream import TOKEN

_PLACES: Final = """/ /etc /usr /usr/bin /opt /opt/claude-container /opt/claude-container/bin
/opt/claude-container/cli /var /var/lib/claude-container /run /run/plugins /run/control /run/start /run/pins
/run/doors /etc/claude-container /root /home /sys /proc/sys/kernel /workspace /tmp"""
_ORDINARY: Final = frozenset((
    "console", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
    "tty", "urandom", "zero",
))  # fmt: skip
_OUT_OF_REACH: Final = frozenset(("Permission denied", "No such file or directory"))
_INIT: Final = ("/sbin/docker-init", "/run/podman-init", "/dev/init")  # Docker's, and Podman's by version
_NAME: Final = re.compile(r"\([\w-]+\)")  # of the user: Podman gives one to each
# The token is never in the script: it is put together from two halves.
LOOK: Final = f"""#!/bin/bash
exec 2>&1 </dev/null
at() {{ printf '\\n@@ %s\\n' "$1"; }}
at id; id
at status; grep -E '^(Uid|Gid|Groups|Cap.*|NoNewPrivs|Seccomp):' /proc/self/status
at mounts; cut -d' ' -f5,6 /proc/self/mountinfo
at processes; for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/cmdline | head -1; done
at environ; env -0 | tr '\\0' '\\n'; cat /proc/[0-9]*/environ | tr '\\0' '\\n'
at routes; tail -n +2 /proc/net/route
at names
for n in github.com gateway git-gateway; do timeout 3 getent hosts $n && echo "resolved $n" & done; wait
at reach
for t in $TARGETS; do {{
  said=$(timeout 2 bash -c "exec 3<>/dev/tcp/${{t%:*}}/${{t#*:}} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 &&
    read -r line <&3 && echo \\$line" 2>/dev/null) && echo "$t ${{said%?}}"
}} & done; wait
at engine
for s in /run/docker.sock /var/run/docker.sock /run/podman /run/containerd; do [ -e $s ] && echo "$s"; done
at devices; ls /dev
at sockets
reach='socket(S, AF_UNIX, SOCK_STREAM, 0) && connect(S, sockaddr_un($ARGV[0])) && print "$ARGV[0]\\n"'
for s in /run/plugins/git.sock /run/control/supervisor.sock $(find /run /tmp /var -type s 2>/dev/null); do
  perl -MSocket -e "$reach" $s
done 2>/dev/null | sort -u
at token; a={TOKEN[:12]}; b={TOKEN[12:]}
grep -rlsF --exclude-dir=proc --exclude-dir=sys --devices=skip "$a$b" / 2>/dev/null
at writable
for d in {_PLACES.replace(chr(10), " ")}; do
  (: >"$d/.probe") 2>/dev/null && {{ echo "$d"; rm -f "$d/.probe"; }}
done
at raised
unshare -U true 2>/dev/null && echo "a user namespace"
unshare -m true 2>/dev/null && echo "a mount namespace"
mount -t tmpfs x /tmp 2>/dev/null && echo "a mount"
mknod /tmp/device c 1 3 2>/dev/null && echo "a device"
at end
"""


@dataclass(frozen=True)
class Seen:
    """What a look around showed, by section."""

    sections: dict[str, list[str]]

    def __getitem__(self, name: str) -> list[str]:
        return self.sections[name]

    @property
    def text(self) -> str:
        return "\n".join(f"@@ {name}\n" + "\n".join(lines) for name, lines in self.sections.items())


def seen(output: str) -> Seen:
    """Parse what LOOK printed; it must have come to its end."""
    sections: dict[str, list[str]] = {}
    for part in output.split("\n@@ ")[1:]:
        name, *lines = part.strip().split("\n")
        sections[name] = [line.strip() for line in lines if line.strip()]
    assert "end" in sections, output
    return Seen(sections)


def assert_powerless(found: Seen, uid: int) -> None:
    """What is promised of every container, and of all code in it."""
    assert [_NAME.sub("", line) for line in found["id"]] == [f"uid={uid} gid={uid} groups={uid}"]
    assert found["engine"] == []
    assert found["token"] == []
    assert TOKEN not in found.text
    assert found["raised"] == []


def assert_hardened(found: Seen) -> None:
    """What is promised of every container, as far as /proc and /dev show it."""
    assert_no_privileges("\n".join(found["status"]))
    assert set(found["devices"]) <= _ORDINARY
    assert next(line for line in found["mounts"] if line.startswith("/ ")).split()[1].split(",")[0] == "ro"


def assert_no_privileges(status: str) -> None:
    """By /proc/PID/status: no capability to have or to get, and system calls filtered."""
    facts = {name: value.strip() for name, _, value in (line.partition(":") for line in status.splitlines())}
    kinds = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    assert [facts[kind] for kind in kinds] == ["0" * 16] * len(kinds)
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")


def assert_of_an_agent(found: Seen, uid: int, *running: str) -> None:
    """What is promised of the agent's container: its work, the wrappers, the sockets, and nothing beside.

    `running` is what the agent itself has started."""
    assert_powerless(found, uid)
    assert_hardened(found)
    assert found["writable"] == ["/workspace", "/tmp"]
    assert found["sockets"] == ["/run/plugins/git.sock"]
    assert set(found["processes"]) <= {*_INIT, "sleep", "bash", *running}
    assert {"/opt/claude-container/cli ro,relatime", "/run/plugins ro,relatime"} <= set(found["mounts"])
    assert found["reach"] == []


def assert_of_a_plugin(found: Seen, uid: int, doors: set[str]) -> None:
    """What is promised of a plugin's container: the workspace, and of the network its gateway alone."""
    assert_powerless(found, uid)
    assert_hardened(found)
    assert set(found["writable"]) == {"/workspace", "/tmp", "/run/plugins", "/var/lib/claude-container"}
    assert_no_way_out(found, doors)


def assert_planted(found: Seen, uid: int, doors: set[str]) -> None:
    """What is promised of code that git runs because the agent planted it: it has the workspace and the
    gateway's doors."""
    assert_powerless(found, uid)
    assert_no_way_out(found, doors)
    assert found["sockets"] == []
    assert found["writable"] == ["/workspace"]
    for hidden in ("status", "mounts", "processes", "routes", "devices"):
        assert {line.rpartition(": ")[2] for line in found[hidden]} <= _OUT_OF_REACH, hidden


def assert_no_way_out(found: Seen, doors: set[str]) -> None:
    """Of a plugin: nothing answers but its gateway's doors, and no name of the world is known."""
    assert {line.split()[0] for line in found["reach"]} == doors
    assert [line for line in found["names"] if "github" in line] == []
