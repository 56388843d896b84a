"""The plugin's private files: hooks, editor and pager scripts, git's configuration, the shim.

They lie in the plugin's state directory, which the worker may read but never write. Written anew at
each start, so that they always fit the program.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from plugins.base.errors import ClaudeContainerError
from plugins.git.commandline.subcommands import INDEX_HOOKS, MESSAGE_HOOKS
from plugins.git.own_hooks import FREQUENT, OwnHooks

_DATA = Path(__file__).parent / "hooks"
_SCRIPTS = {"editor": "editor", "sequence-editor": "editor", "pager": "pager"}
# Hooks of the side that commits and pushes (githooks(5)). The receiving side of a push to this
# machine gets none of our configuration from git, and so keeps its own hooks.
HOOKS = (
    "applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit",
    "prepare-commit-msg", "commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge",
    "pre-push", "pre-auto-gc", "post-rewrite", "reference-transaction", "post-index-change",
    "sendemail-validate",
)  # fmt: skip
_COMMIT_HOOKS = (*INDEX_HOOKS, *MESSAGE_HOOKS)
# Directories of hooks, for core.hooksPath.
_DIRECTORIES = {
    "hooks": HOOKS,
    "usual-hooks": tuple(name for name in HOOKS if name not in FREQUENT),
    "policy-hooks": ("pre-push", *_COMMIT_HOOKS),
    "push-hooks": ("pre-push",),
}
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9-]*)(?:\.(.+))?\.([A-Za-z][A-Za-z0-9-]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PrivateFiles:
    """Where they are. `install` writes them."""

    root: Path

    @property
    def hooks(self) -> str:
        return f"{self.root}/hooks"

    def hooks_for(self, own: OwnHooks, unchecked: Collection[str]) -> str:
        """The directory with no more hooks than needed: the policy's, and what leads to own ones."""
        if own is OwnHooks.ANY:
            return self.hooks
        if own is OwnHooks.USUAL:
            return f"{self.root}/usual-hooks"
        return f"{self.root}/{'push-hooks' if set(_COMMIT_HOOKS) <= set(unchecked) else 'policy-hooks'}"

    @property
    def all_hooks(self) -> tuple[str, ...]:
        """Every such directory."""
        return tuple(f"{self.root}/{name}" for name in _DIRECTORIES)

    @property
    def configuration(self) -> str:
        return f"{self.root}/config"

    @property
    def shim(self) -> str:
        return f"{self.root}/plugin-client"

    def script(self, name: str) -> str:
        """The path of "editor", "sequence-editor" or "pager"."""
        return f"{self.root}/bin/{name}"

    def install(self, client: str, settings: Mapping[str, str]) -> None:
        """Write everything. Raises `ClaudeContainerError` when that is not possible."""
        try:
            self._install(client, settings)
        except OSError as error:
            raise ClaudeContainerError(
                f"The git plugin cannot write its hooks: {error.strerror} ({error.filename}).",
                hint="Free some space, or correct the permissions, and restart the plugin.",
            ) from error

    def _install(self, client: str, settings: Mapping[str, str]) -> None:
        if self.root.exists():
            shutil.rmtree(self.root)
        for directory in (self.root, *map(Path, self.all_hooks), self.root / "bin"):
            directory.mkdir(parents=True, mode=0o755)
        if client:
            shutil.copyfile(client, self.shim)
            Path(self.shim).chmod(0o755)
        Path(self.configuration).write_text(configuration(settings), encoding="utf-8")
        self._write_script("dispatch", self.root / "dispatch")
        for group, names in _DIRECTORIES.items():
            for name in names:
                (self.root / group / name).symlink_to("../dispatch")
        for name, source in _SCRIPTS.items():
            self._write_script(source, Path(self.script(name)))

    def _write_script(self, source: str, target: Path) -> None:
        text = (_DATA / source).read_text(encoding="utf-8")
        for mark, value in (("@SHIM@", self.shim), ("@DIRECTORY@", str(self.root / "bin"))):
            text = text.replace(f"'{mark}'", _quoted(value))
        target.write_text(text, encoding="utf-8")
        target.chmod(0o755)


def configuration(settings: Mapping[str, str]) -> str:
    """git's configuration file with these settings, and what running under another user needs."""
    # The worker decides by paths which repositories can be reached, not by who owns them.
    lines = ["[safe]", "\tdirectory = *"]
    for key, value in sorted(settings.items()):
        match = _KEY.fullmatch(key)
        if match is None or "\n" in key:
            continue
        section, subsection, name = match.groups()
        head = section if subsection is None else f'{section} "{_escaped(subsection)}"'
        lines += [f"[{head}]", f'\t{name} = "{_escaped(value)}"']
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")


def _quoted(path: str) -> str:
    """For /bin/sh, in single quotes."""
    return "'" + path.replace("'", "'\\''") + "'"
