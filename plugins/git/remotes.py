"""Finds out which remotes a command would talk to, and where they really are.

URLs are resolved by git itself where it has a command for that. Decides nothing: see `check_remotes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from plugins.git import addresses
from plugins.git.commandline import GitCommand
from plugins.git.commandline.push import Push, Repository, default_remote
from plugins.git.commandline.shellscan import UNKNOWN
from plugins.git.lookup import Lookup, parse_settings
from plugins.git.operation import Contact

_PROGRAM_SETTINGS = ("vcs", "receivepack", "uploadpack")


class Remotes:
    """Resolves the remotes of one command."""

    def __init__(
        self, look: Lookup, facts: Repository, workspaces: tuple[str, ...], served: str = ""
    ) -> None:
        self._look = look
        self._facts = facts
        self._workspaces = workspaces
        self._served = served  # a repository that the gateway reaches, whether or not it can be seen here

    async def of_push(self, push: Push) -> list[Contact]:
        return await self._contacts([push.remote], push=True)

    async def of(self, command: GitCommand) -> list[Contact]:
        """The remotes that a command other than push would read from."""
        if command.name == "submodule":
            return await self._submodules(command)
        return await self._contacts(self._sources(command), push=False)

    def _sources(self, command: GitCommand) -> list[str]:
        """The remotes to read from, as named or by default."""
        words, name = command.words, command.name
        if name == "clone":
            return [*words[:1], *filter(None, [command.value("bundle-uri")])]
        if name == "archive":
            return [command.value("remote") or ""]
        if name == "request-pull":
            return list(words[1:2])
        if name == "remote":
            return self._of_remote_action(command)
        if name == "ls-remote" and command.on("get-url"):
            return []
        if command.on("all"):
            return self._configured()
        if command.on("multiple"):
            return self._groups(words)
        return self._groups(words[:1]) if words else [default_remote(self._facts)]

    def _of_remote_action(self, command: GitCommand) -> list[str]:
        words = command.words
        match command.action:
            case "update":
                return self._groups(words) if words else self._configured()
            case "show" | "prune":
                return [] if command.on("n") else list(words)
            case "add":
                return list(words[1:2]) if command.on("fetch") else []
            case "set-head":
                return list(words[:1]) if command.on("auto") else []
        return []

    def _configured(self) -> list[str]:
        names = (key[len("remote.") : -len(".url")] for key in self._facts.settings if _is_url_key(key))
        return list(dict.fromkeys(names))

    def _groups(self, names: Iterable[str]) -> list[str]:
        """Names of groups (`remotes.<group>`) stand for their members."""
        found: list[str] = []
        for name in names:
            members = self._facts.settings.get(f"remotes.{name}", ())
            found += [member for group in members for member in group.split()] or [name]
        return found

    async def _contacts(self, names: Iterable[str], *, push: bool) -> list[Contact]:
        found: list[Contact] = []
        for name in dict.fromkeys(names):
            if not name or UNKNOWN in name:  # only the shell knows; the hook and the sandbox judge
                continue
            for url in await self._urls(name, push=push):
                contact = self.contact(name, url, push=push)
                if contact is not None:
                    found.append(contact)
        return found

    async def _urls(self, name: str, *, push: bool) -> list[str]:
        """What git makes of a remote's name, or of a URL in its place."""
        direction = ("--push",) if push else ()
        if not name.startswith("-"):
            found = await self._look.lines("remote", "get-url", *direction, "--all", name)
            if found:
                return found
        return [addresses.rewritten(name, self._facts.settings, push=push)]

    def contact(self, name: str, url: str, *, push: bool) -> Contact | None:
        """A remote with its real place. None when there is nothing there: git says so itself, and better."""
        shown = addresses.without_credentials(url)
        kind = addresses.kind(url)
        program = self._program(name)
        if program:
            return Contact(name, shown, push=push, problem=f"{program} names a program to run for {name}.")
        if kind is addresses.Kind.HELPER:
            problem = f"{shown.partition('::')[0]} is a transport that runs a program."
            return Contact(name, shown, push=push, problem=problem)
        if kind is addresses.Kind.NETWORK:
            return Contact(name, shown, push=push)
        path = addresses.local_path(url, self._facts.top or self._look.cwd)
        real = addresses.real_path(path)
        if real != self._served and not Path(real).exists():
            return None
        return Contact(name, shown, real, push=push, inside=_within(real, self._workspaces))

    def _program(self, name: str) -> str:
        """A setting of the remote that names a program, as `git config` names it."""
        keys = (f"remote.{name}.{setting}" for setting in _PROGRAM_SETTINGS)
        return next((key for key in keys if key in self._facts.settings), "")

    async def _submodules(self, command: GitCommand) -> list[Contact]:
        """Each submodule that would be cloned or asked anew, by its own URL."""
        if command.action == "add":
            return await self._of_submodule_add(command.words)
        if command.action != "update":
            return []
        settings: Mapping[str, tuple[str, ...]] = self._facts.settings
        if command.on("init"):
            settings = {**await self._gitmodules(), **settings}
        common = await self._look.line("rev-parse", "--git-common-dir") or ".git"
        modules = Path(self._look.cwd, common, "modules")
        names = {
            key[len("submodule.") : -len(".url")]: values[-1]
            for key, values in settings.items()
            if key.startswith("submodule.") and key.endswith(".url")
        }
        wanted = [
            self._relative(url)
            for name, url in names.items()
            if command.on("remote") or not _exists(modules / name)
        ]
        return await self._contacts(wanted, push=False)

    async def _of_submodule_add(self, words: Sequence[str]) -> list[Contact]:
        """What is cloned; nothing, when the submodule is there already."""
        if not words or _exists(Path(self._look.cwd, _submodule_path(words), ".git")):
            return []
        return await self._contacts([self._relative(words[0])], push=False)

    async def _gitmodules(self) -> dict[str, tuple[str, ...]]:
        done = await self._look.git("config", "--null", "--file", f"{self._facts.top}/.gitmodules", "--list")
        return parse_settings(done.stdout) if done.exit_code == 0 else {}

    def _relative(self, url: str) -> str:
        """`./x` and `../x` start from the URL that this repository itself comes from."""
        if not url.startswith(("./", "../")):
            return url
        base = self._facts.setting(f"remote.{default_remote(self._facts)}.url") or self._facts.top
        while url.startswith(("./", "../")):
            if url.startswith("../"):
                base = base.rstrip("/").rpartition("/")[0]
            url = url.partition("/")[2]
        return f"{base.rstrip('/')}/{url}"


def _is_url_key(key: str) -> bool:
    return key.startswith("remote.") and key.endswith(".url")


def _within(path: str, directories: Iterable[str]) -> bool:
    return any(each and Path(path).is_relative_to(Path(each).resolve()) for each in directories)


def _submodule_path(words: Sequence[str]) -> str:
    """Where `submodule add URL [PATH]` puts the submodule: by default under the last name of the URL."""
    if len(words) > 1:
        return words[1]
    return words[0].rstrip("/").removesuffix("/.git").removesuffix(".git").rpartition("/")[2]


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()
