"""Turns a hook's call into facts to judge: the ref updates of a push, the files and message of a commit."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from plugins.base.errors import Denied
from plugins.base.model import Layer, Operation, RefUpdate
from plugins.base.plugin import HookCall
from plugins.base.text import printable
from plugins.git.commandline.push import Push, Repository
from plugins.git.commandline.subcommands import INDEX_HOOKS, MESSAGE_HOOKS
from plugins.git.lookup import Lookup, text
from plugins.git.operation import Contact, File, GitOperation, from_argv
from plugins.git.remotes import Remotes

JUDGED_HOOKS = ("pre-push", *INDEX_HOOKS, *MESSAGE_HOOKS)

_MOST_REFS = 20_000
_MOST_UPDATES = 2000  # of refs that move: each needs a look at the history
_AT_ONCE = 4
# What the repository could use to make a commit look like an ancestor of another: not used here.
_TRUE_HISTORY = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": "/dev/null"}
_SCISSORS = "# ------------------------ >8 ------------------------"


async def operation_of(
    call: HookCall, started: Operation, look: Lookup, workspaces: tuple[str, ...]
) -> GitOperation:
    """The operation that a hook asks about. `started` is the command that runs; its flags still count."""
    base = replace(
        from_argv(started), layer=Layer.HOOK, cwd=call.cwd, hook=call.name, remote="", updates=(),
        commands=(), contacts=(), runs=None, script=None, problem="", files=(), message=None,
    )  # fmt: skip
    if call.name == "pre-push":
        return await _push(base, call, look, workspaces)
    if call.name in INDEX_HOOKS:
        return replace(base, pushes=(), files=await staged_files(look))
    if call.name in MESSAGE_HOOKS:
        return replace(base, pushes=(), message=await clean_message(call.stdin, look))
    return replace(base, pushes=())


async def _push(
    base: GitOperation, call: HookCall, look: Lookup, workspaces: tuple[str, ...]
) -> GitOperation:
    if len(call.argv) != 2:
        raise Denied("git called its pre-push hook in a way that is not known here.")
    name, url = call.argv
    facts = Repository(settings=await look.settings(), top=call.cwd)
    contact = Remotes(look, facts, workspaces, base.served).contact(name, url, push=True)
    if contact is None:
        contact = Contact(name, url, push=True, problem=f"{printable(url)} cannot be found.")
    updates = await _updates(call.stdin, look)
    pushes = base.pushes
    if facts.flag(f"remote.{name}.mirror"):  # git does not tell its hook what a mirror push deletes
        pushes = (*pushes, Push(name, mirror=True))
    return replace(base, remote=contact.url, contacts=(contact,), updates=updates, pushes=pushes)


async def _updates(stdin: bytes, look: Lookup) -> tuple[RefUpdate, ...]:
    """Read the hook's input: `<local ref> <local id> <remote ref> <remote id>` on each line."""
    lines = [line.split(" ") for line in text(stdin).split("\n") if line]
    if len(lines) > _MOST_REFS or sum(_moves(fields) for fields in lines) > _MOST_UPDATES:
        raise Denied(
            f"This push would change {len(lines)} refs at once; that is more than can be judged.",
            hint="Push fewer branches at a time.",
        )
    slots = asyncio.Semaphore(_AT_ONCE)

    async def update(fields: list[str]) -> RefUpdate:
        if len(fields) != 4:
            raise Denied("git told its pre-push hook of an update that cannot be read.")
        _, new, ref, old = fields
        async with slots:
            return RefUpdate(printable(ref), old, new, await fast_forward(old, new, look))

    return tuple(await asyncio.gather(*(update(fields) for fields in lines)))


def _moves(fields: list[str]) -> bool:
    """Whether an update is neither a creation nor a deletion."""
    return len(fields) == 4 and bool(fields[1].strip("0")) and bool(fields[3].strip("0"))


async def fast_forward(old: str, new: str, look: Lookup) -> bool | None:
    """Whether `new` contains all that `old` has; None when it creates or deletes, or cannot be told."""
    if not old.strip("0") or not new.strip("0"):
        return None
    honest = replace(look, environment={**look.environment, **_TRUE_HISTORY})
    done = await honest.git("-c", "core.commitGraph=false", "merge-base", "--is-ancestor", old, new)
    return {0: True, 1: False}.get(done.exit_code)


async def staged_files(look: Lookup) -> tuple[File, ...]:
    """The files that the index has and the last commit has not, or has otherwise; with their sizes."""
    listing = await look.git(
        "-c", "core.fsmonitor=false", "diff", "--cached", "--raw", "--no-abbrev", "--no-renames",
        "--ignore-submodules=none", "--no-ext-diff", "-z",
    )  # fmt: skip
    if listing.exit_code != 0:
        raise Denied("git could not say what this commit would record.", hint="Try: git diff --cached --stat")
    entries = _raw_entries(listing.stdout)
    sizes = await _sizes([blob for _, blob in entries], look)
    return tuple(File(path, sizes.get(blob, 0)) for path, blob in entries)


def _raw_entries(output: bytes) -> list[tuple[str, str]]:
    """Path and blob of each added or changed file of `git diff --raw -z` (submodules have no blob)."""
    fields = text(output).split("\0")
    entries: list[tuple[str, str]] = []
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        _, new_mode, _, new, *_ = facts.split(" ")
        if new_mode not in ("000000", "160000"):
            entries.append((path, new))
    return entries


async def _sizes(blobs: list[str], look: Lookup) -> dict[str, int]:
    if not blobs:
        return {}
    wanted = "".join(f"{blob}\n" for blob in blobs).encode()
    done = await look.git("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=wanted)
    pairs = (line.split(" ") for line in text(done.stdout).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


async def clean_message(data: bytes, look: Lookup) -> str:
    """The message as git will record it: without comments, and without what is below the scissors."""
    kept = text(data).partition(f"\n{_SCISSORS}")[0]
    done = await look.git("stripspace", "--strip-comments", stdin=kept.encode("utf-8", "surrogateescape"))
    if done.exit_code != 0:
        raise Denied("git could not clean up the commit message.")
    return printable_lines(text(done.stdout))


def printable_lines(message: str) -> str:
    return "\n".join(printable(line) for line in message.split("\n"))
