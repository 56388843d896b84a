"""What an operator reads before saying yes to a push: commits that arrive and are lost, diffstat, diff.

Only shows. All text comes from the agent: it is made printable line by line, and bounded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from plugins.base.model import RefUpdate
from plugins.base.text import printable
from plugins.git.lookup import Lookup, text

_MOST_BYTES = 64 * 1024
_MOST_COMMITS = 50
_MOST_UPDATES = 20
_LOG = (
    "log",
    "--no-show-signature",
    f"--max-count={_MOST_COMMITS + 1}",
    "--format=%h %an, %ad: %s",
    "--date=short",
)
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color")


async def describe(updates: tuple[RefUpdate, ...], look: Lookup) -> str:
    """Everything about these updates, at most 64 KiB."""
    lines: list[str] = []
    size = 0
    async for line in _lines(updates[:_MOST_UPDATES], look):
        size += len(line) + 1
        if size > _MOST_BYTES:
            lines.append("[cut: there is more]")
            break
        lines.append(line)
    if len(updates) > _MOST_UPDATES:
        lines.append(f"[and {len(updates) - _MOST_UPDATES} more refs]")
    return "\n".join(lines)


async def _lines(updates: tuple[RefUpdate, ...], look: Lookup) -> AsyncIterator[str]:
    for update in updates:
        yield f"{update.ref}: {_kind(update)}"
        for title, arguments in _questions(update):
            found = await _ask(look, arguments)
            if found:
                yield ""
                yield title
                for line in found:
                    yield line
        yield ""


def _kind(update: RefUpdate) -> str:
    if update.creates:
        return f"new, at {update.new[:12]}"
    if update.deletes:
        return f"deleted, was {update.old[:12]}"
    how = {True: "fast-forward", False: "NOT a fast-forward", None: "not known whether a fast-forward"}
    return f"{update.old[:12]} → {update.new[:12]}, {how[update.fast_forward]}"


def _questions(update: RefUpdate) -> list[tuple[str, tuple[str, ...]]]:
    old, new = update.old, update.new
    if update.deletes:
        lost = (*_LOG, old, "--not", f"--exclude={_tracking(update.ref)}", "--remotes", "--")
        return [("Commits that no other branch of a remote has:", lost)]
    if update.creates:
        arrives = (*_LOG, new, "--not", "--remotes", "--")
        return [
            ("Commits that would arrive:", arrives),
            ("Latest commit:", ("show", *_DIFF[1:], "--stat", new, "--")),
        ]
    questions: list[tuple[str, tuple[str, ...]]] = [
        ("Commits that would arrive:", (*_LOG, f"{old}..{new}", "--"))
    ]
    if update.rewrites:
        questions.append(("Commits that would be LOST:", (*_LOG, f"{new}..{old}", "--")))
    questions.append(("Changed files:", (*_DIFF, "--stat", old, new, "--")))
    questions.append(("Changes:", (*_DIFF, old, new, "--")))
    return questions


def _tracking(ref: str) -> str:
    return f"refs/remotes/*/{ref.removeprefix('refs/heads/')}"


async def _ask(look: Lookup, arguments: tuple[str, ...]) -> list[str]:
    done = await look.git(*arguments)
    if done.exit_code != 0:
        return ["(git could not say)"]
    lines = [_shown(line) for line in text(done.stdout).splitlines()]
    if arguments[0] == "log" and len(lines) > _MOST_COMMITS:
        lines[_MOST_COMMITS:] = ["[and more]"]
    return lines


def _shown(line: str) -> str:
    return printable(line.replace("\t", "    "))
