"""The home directory: where everything of one installation lies, and who may look into it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from plugins.base.errors import ClaudeContainerError

# sockaddr_un.sun_path holds 108 bytes with its terminating zero (unix(7)).
_LONGEST_SOCKET_PATH = 107
_ROOM = len("/run/control/supervisor.sock")  # the longest of ours below the home; tools' names vary


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one home; see the design for what each part is for."""

    root: Path

    @classmethod
    def find(cls, given: str | os.PathLike[str] | None = None) -> Home:
        """Return the home: as given, else `$CLAUDE_HOME`, else `~/.claude-container`."""
        chosen = given or os.environ.get("CLAUDE_HOME") or "~/.claude-container"
        return cls(Path(chosen).expanduser().absolute())

    @property
    def cli(self) -> Path:
        """The wrappers; read-only for the agent."""
        return self.root / "cli"

    @property
    def sockets(self) -> Path:
        """The agent's sockets; the agent's container sees it as /run/plugins."""
        return self.root / "sockets"

    @property
    def config(self) -> Path:
        """The policies, edited by the operator."""
        return self.root / "config"

    @property
    def state(self) -> Path:
        """What must last: audit, policy history, pins, grants. 0700, never mounted."""
        return self.root / "state"

    @property
    def run(self) -> Path:
        """What belongs to running processes: sockets, locks, logs. 0700."""
        return self.root / "run"

    @property
    def audit_db(self) -> Path:
        return self.state / "audit.db"

    @property
    def state_db(self) -> Path:
        """Requests, grants, pins, policy history."""
        return self.state / "state.db"

    @property
    def control_socket(self) -> Path:
        """In a directory of its own, which plugins' containers see; the agent's never does."""
        return self.run / "control" / "supervisor.sock"

    @property
    def api_socket(self) -> Path:
        return self.run / "api.sock"

    @property
    def lock_file(self) -> Path:
        return self.run / "supervisor.lock"

    @property
    def logs(self) -> Path:
        return self.run / "logs"

    def policy_file(self, plugin: str) -> Path:
        return self.config / f"{plugin}.yaml"

    def plugin_socket(self, plugin: str) -> Path:
        return self.sockets / f"{plugin}.sock"

    def check_socket(self, plugin: str) -> None:
        """Raise `ClaudeContainerError` when the plugin's socket would have a path that is too long."""
        path = self.plugin_socket(plugin)
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            raise ClaudeContainerError(
                f"The path of the socket of {plugin} is too long: {path}.",
                hint="Choose a shorter home with --home or CLAUDE_HOME.",
            )

    def plugin_state(self, plugin: str) -> Path:
        """The private directory of one plugin: start file, spool, worker's home and tmp."""
        return self.run / "plugins" / plugin

    def container_start(self, plugin: str) -> Path:
        """What the plugin's container starts with, read-only for it."""
        return self.run / "containers" / plugin

    def container_record(self, plugin: str) -> Path:
        """What the supervisor notes about the plugin's container; never mounted."""
        return self.run / "docker" / f"{plugin}.json"

    def create(self) -> None:
        """Make the directories that are missing. Raises `ClaudeContainerError` when that cannot be."""
        if len(os.fsencode(self.root)) + _ROOM > _LONGEST_SOCKET_PATH:
            raise ClaudeContainerError(
                f"The home's path is too long for Unix sockets: {self.root}.",
                hint="Choose a shorter one with --home or CLAUDE_HOME.",
            )
        try:
            for directory, mode in (
                (self.root, 0o755),
                (self.cli, 0o755),
                (self.sockets, 0o755),
                (self.config, 0o755),
                (self.state, 0o700),
                (self.run, 0o700),
                (self.logs, 0o700),
                (self.control_socket.parent, 0o700),
            ):
                directory.mkdir(mode=mode, parents=True, exist_ok=True)
            self.state.chmod(0o700)
            self.run.chmod(0o700)
        except OSError as error:
            raise ClaudeContainerError(
                f"Cannot set up the home {self.root}: {error.strerror} ({error.filename}).",
                hint="Make it writable for you, or choose another one with --home or CLAUDE_HOME.",
            ) from error
