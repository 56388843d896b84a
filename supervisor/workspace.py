"""The workspace: whether it can be one, where its origin is, and what the operator's git goes by.

The workspace is the agent's: nothing in it is run, and what it says is not believed for longer than
the first start (`pinned_origin`).
"""

from __future__ import annotations

import os
from pathlib import Path

from plugins.base.errors import ClaudeContainerError
from plugins.git.origin import ask_git, current_origin
from supervisor.home import Home
from supervisor.state_db import StateDb

# Harmless values that make commits and merges come out as the operator's own would.
_CHOSEN = frozenset(
    {
        "user.name", "user.email", "init.defaultbranch", "core.autocrlf", "core.abbrev", "pull.rebase",
        "pull.ff", "push.default", "push.autosetupremote", "fetch.prune", "merge.conflictstyle", "merge.ff",
        "rebase.autosquash", "rebase.autostash", "diff.algorithm", "diff.renames", "rerere.enabled",
        "commit.cleanup", "commit.verbose", "status.short", "log.date", "branch.sort", "tag.sort",
    }
)  # fmt: skip


def checked(workspace: Path, home: Home) -> Path:
    """Return the real path of the workspace. Raises `ClaudeContainerError` when it cannot be one."""
    hint = "Name the project with --workspace."
    try:
        real = workspace.expanduser().resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ClaudeContainerError(f"There is no workspace {workspace}.", hint=hint) from error
    if not real.is_dir():
        raise ClaudeContainerError(f"The workspace {real} is not a directory.", hint=hint)
    own = home.root.resolve()
    if real == Path(real.anchor) or real == _user_home():
        raise ClaudeContainerError(f"{real} cannot be a workspace: it holds more than a project.", hint=hint)
    if own.is_relative_to(real) or real.is_relative_to(own):
        raise ClaudeContainerError(
            f"The workspace {real} and the home {own} must lie apart: the agent writes in one of them.",
            hint="Choose another home with --home or CLAUDE_HOME, or another workspace.",
        )
    return real


def _user_home() -> Path | None:
    try:
        return Path.home().resolve()
    except (OSError, RuntimeError):
        return None


def pinned_origin(workspace: Path, db: StateDb, path: str) -> tuple[str, str]:
    """Return the URL that origin had when the workspace was first started, and the one it has now.

    "" is pinned as well: an origin that the agent adds later is not one that the operator chose.
    `path` is where git is looked up, here and below (see `tool_path`): never among the wrappers.
    """
    present = current_origin(workspace, path)
    return db.set_default(f"origin:{workspace}", present), present


def git_config(path: str) -> dict[str, str]:
    """Chosen settings of the operator's own global git configuration."""
    listed = ask_git(("config", "--global", "--null", "--list"), {**os.environ, "PATH": path})
    settings: dict[str, str] = {}
    for entry in listed.decode("utf-8", "replace").split("\0"):
        key, _, value = entry.partition("\n")
        if key in _CHOSEN:
            settings[key] = value
    return settings


def tool_path(home: Home, workspace: Path) -> str:
    """PATH for the real tools: without the wrappers, and without what the agent can write to."""
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if _trusted(entry, home, workspace)) or os.defpath


def _trusted(entry: str, home: Home, workspace: Path) -> bool:
    path = Path(entry)
    if not path.is_absolute():
        return False
    real = path.resolve()
    return real != home.cli.resolve() and not real.is_relative_to(workspace)
