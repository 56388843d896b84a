"""Reroutes git's transports to the gateway, underneath what git shows: URLs stay the real ones.

A directory stands in for git's own exec path. It links to everything there, but for the programs that
would talk to a remote: those are scripts that reach the gateway. Whoever goes around them reaches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plugins.base.doors import address, door

_DATA: Final = Path(__file__).parent / "transport"
_REPLACED: Final = {
    "git-remote-http": "remote-http",
    "git-remote-https": "remote-http",
    "git-upload-pack": "local",
    "git-receive-pack": "local",
}
_LEFT_OUT: Final = frozenset({"git-remote-ftp", "git-remote-ftps", "git-http-push", "git-http-fetch"})


@dataclass(frozen=True, slots=True)
class Rerouting:
    """Where the stand-ins lie, and how git is pointed at them."""

    root: Path
    gateway: str  # http://ADDRESS:PORT/CAPABILITY; "" when there is none
    stream: str  # ADDRESS:PORT

    @property
    def ports(self) -> tuple[int, ...]:
        """What the worker may connect to."""
        if not self.gateway:
            return ()
        return (door(self.gateway).port, address(self.stream)[1])

    def install(self, exec_path: str, shim: str) -> None:
        """Make the directory, for a git whose own exec path is given. Raises `OSError`."""
        directory = self.root / "exec"
        directory.mkdir(parents=True, exist_ok=True)
        for program in Path(exec_path).iterdir():
            if program.name not in _REPLACED and program.name not in _LEFT_OUT:
                _link(directory / program.name, program)
        marks = {"@REAL@": exec_path, "@SHIM@": shim}
        for name, source in _REPLACED.items():
            _write(directory / name, source, marks)
        _write(self.root / "ssh", "ssh", marks)

    def environment(self, command: str) -> dict[str, str]:
        """What points git here. `command` is the id of the command, for the audit log."""
        if not self.gateway:
            return {"GIT_ALLOW_PROTOCOL": "file"}
        return {
            "GIT_EXEC_PATH": f"{self.root}/exec",
            "GIT_SSH_COMMAND": _quoted(f"{self.root}/ssh"),
            "GIT_SSH_VARIANT": "ssh",
            "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
            "CLAUDE_CONTAINER_GATEWAY": self.gateway,
            # The server of large files is none of the remotes: their pointers are checked out as they are.
            "GIT_LFS_SKIP_SMUDGE": "1",
            "CLAUDE_CONTAINER_STREAM": self.stream,
            "CLAUDE_CONTAINER_COMMAND": command,
        }


def _link(link: Path, target: Path) -> None:
    if not link.is_symlink():
        link.symlink_to(target)


def _write(target: Path, source: str, marks: dict[str, str]) -> None:
    text = (_DATA / source).read_text(encoding="utf-8")
    for mark, value in marks.items():
        text = text.replace(f"'{mark}'", _quoted(value))
    new = target.with_name(f"{target.name}.new")
    new.write_text(text, encoding="utf-8")
    new.chmod(0o755)
    new.replace(target)


def _quoted(path: str) -> str:
    """For /bin/sh, in single quotes."""
    return "'" + path.replace("'", "'\\''") + "'"
