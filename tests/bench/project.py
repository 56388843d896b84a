"""The repository that is measured: real history, sizeable content, a local upstream."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

_COMMITS = 400
_FILES = 120
_LINES = 3000


def make_project(root: Path) -> Path:
    """Make `root/project` with some hundred commits and `root/upstream.git`; returns the project.

    The history comes from a fixed seed through `git fast-import`: the same repository each time.
    """
    project, upstream = root / "project", root / "upstream.git"
    _git("init", "--quiet", "--initial-branch=main", str(project))
    subprocess.run(
        ["git", "-C", str(project), "fast-import", "--quiet"],
        input=_history(),
        check=True,
        env=_environment(),
    )
    _git("-C", str(project), "reset", "--quiet", "--hard", "main")
    _git("init", "--quiet", "--bare", "--initial-branch=main", str(upstream))
    _git("-C", str(project), "remote", "add", "origin", str(upstream))
    _git("-C", str(project), "push", "--quiet", "-u", "origin", "main")
    return project


def object_list(project: Path, target: Path) -> None:
    """Write the ids of all blobs to `target`, as input for `git cat-file --batch`."""
    listing = subprocess.run(
        ["git", "-C", str(project), "cat-file", "--batch-all-objects",
         "--batch-check=%(objecttype) %(objectname)"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    blobs = [line.split()[1] for line in listing.stdout.splitlines() if line.startswith("blob")]
    target.write_text("".join(f"{blob}\n" for blob in blobs))


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": "/nonexistent",
    }  # fmt: skip


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, env=_environment())


def _history() -> bytes:
    """A fast-import stream: each commit rewrites a third of one file, so that blobs are large and many."""
    rng = random.Random(2026)  # noqa: S311 - reproducible content, not a secret
    words = [f"{rng.getrandbits(48):012x}" for _ in range(4096)]
    files = [[" ".join(rng.choices(words, k=6)) for _ in range(_LINES)] for _ in range(_FILES)]
    stream = bytearray()
    for number in range(_COMMITS):
        name = number % _FILES
        lines = files[name]
        start = rng.randrange(_LINES * 2 // 3)
        lines[start : start + _LINES // 3] = [" ".join(rng.choices(words, k=6)) for _ in range(_LINES // 3)]
        stream += _commit(number, f"src/file{name}.txt", "\n".join(lines).encode() + b"\n")
    return bytes(stream)


def _commit(number: int, path: str, content: bytes) -> bytes:
    """One commit on main; fast-import makes the branch's tip its parent by itself."""
    message = f"Change {number}".encode()
    when = 1_700_000_000 + number
    parts = (
        b"commit refs/heads/main\n",
        b"committer Bench <bench@example.invalid> %d +0000\n" % when,
        b"data %d\n%s\n" % (len(message), message),
        b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content),
    )
    return b"".join(parts)
