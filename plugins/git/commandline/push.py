"""What a `git push` asks for: the remote, the refs it would change there, and how. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plugins.git.commandline import GitCommand
from plugins.git.commandline.refspec import Target, parse_refspec, read_words, target_of

_FALSE = ("", "false", "no", "off", "0")


@dataclass(frozen=True, slots=True)
class Repository:
    """What had to be looked up in the caller's repository to read a command."""

    branch: str = ""  # the checked-out branch as a full ref; "" when detached or not known
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # names as `git config` prints them
    refs: frozenset[str] = frozenset()  # local refs that names on the command line may mean
    top: str = ""  # where relative remote paths start from

    def setting(self, name: str) -> str:
        values = self.settings.get(name, ())
        return values[-1] if values else ""

    def flag(self, name: str) -> bool:
        return name in self.settings and self.setting(name).lower() not in _FALSE


@dataclass(frozen=True, slots=True)
class Push:
    """A push as asked for. The pre-push hook sees what became of it."""

    remote: str  # a configured name, or a URL, as given or by default
    targets: tuple[Target, ...] = ()
    force: bool = False  # asked for: -f, --force-with-lease, +refspec
    mirror: bool = False
    delete: bool = False  # asked for: --delete, :ref, --prune
    tags: bool = False  # asked for: --tags, or a tag by name

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches that it names, for messages."""
        return tuple(
            t.ref.removeprefix("refs/heads/") for t in self.targets if t.ref.startswith("refs/heads/")
        )


def read_push(command: GitCommand, facts: Repository) -> Push:
    """Turn a parsed `git push` and what was looked up into what it asks for."""
    remote = push_remote(command, facts)
    mirror = command.on("mirror") or facts.flag(f"remote.{remote}.mirror")
    flag_force = command.on("force") or command.on("force-with-lease")
    targets = () if mirror else _targets(command, remote, facts, flag_force)
    return Push(
        remote,
        targets,
        force=flag_force or any(target.force for target in targets),
        mirror=mirror,
        delete=command.on("prune") or any(target.delete for target in targets),
        tags=any(target.ref.startswith("refs/tags/") for target in targets),
    )


def push_remote(command: GitCommand, facts: Repository) -> str:
    """Where a push goes: named, else by configuration, else "origin"."""
    named = command.words[0] if command.words else command.value("repo") or ""
    if named:
        return named
    branch = facts.branch.removeprefix("refs/heads/")
    return (
        (branch and facts.setting(f"branch.{branch}.pushremote"))
        or facts.setting("remote.pushdefault")
        or default_remote(facts)
    )


def default_remote(facts: Repository) -> str:
    """Where a fetch comes from when none is named."""
    branch = facts.branch.removeprefix("refs/heads/")
    return (branch and facts.setting(f"branch.{branch}.remote")) or "origin"


def names_to_look_up(command: GitCommand) -> tuple[str, ...]:
    """The short names in a push's refspecs that may be branches or tags here."""
    specs = [parse_refspec(text) for text in read_words(command.words[1:])]
    names = {part for spec in specs for part in (spec.source, spec.destination)}
    return tuple(sorted(name for name in names if _may_be_a_ref(name)))


def _may_be_a_ref(name: str) -> bool:
    return bool(name) and not name.startswith(("refs/", "-")) and "*" not in name and "\0" not in name


def _targets(command: GitCommand, remote: str, facts: Repository, force: bool) -> tuple[Target, ...]:
    if command.on("all"):
        return (Target("refs/heads/*", force),)
    delete = command.on("delete")
    texts = read_words(command.words[1:])
    if command.on("tags"):
        texts.append("refs/tags/*:refs/tags/*")
    if not texts:
        texts = list(facts.settings.get(f"remote.{remote}.push", ()))
    if not texts:
        return _default_targets(facts, force)
    found = (
        target_of(parse_refspec(text), force=force, delete=delete, branch=facts.branch, refs=facts.refs)
        for text in texts
    )
    return tuple(target for target in found if target is not None)


def _default_targets(facts: Repository, force: bool) -> tuple[Target, ...]:
    """What `push.default` chooses when nothing else does (git-config(1))."""
    mode = facts.setting("push.default").lower() or "simple"
    if mode == "matching":
        return (Target("refs/heads/*", force),)
    if mode == "nothing" or not facts.branch:
        return ()
    name = facts.branch.removeprefix("refs/heads/")
    if mode in ("upstream", "tracking"):
        return (Target(facts.setting(f"branch.{name}.merge"), force),)
    return (Target(facts.branch, force),)
