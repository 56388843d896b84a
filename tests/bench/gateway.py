"""Push and fetch through the gateway and straight to the same smart-HTTP remote, in turn."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supervisor.home import Home
from supervisor.setup import prepare_home
from tests.bench.harness import Pair, interleave
from tests.bench.rows import Row, beside_direct
from tests.upstream import TOKEN, SmartHttp, environment, native

_NAME: Final = "private/project.git"
_RUNS: Final = 5
_FILES, _FILE_BYTES = 200, 500_000  # 100 MB that do not compress
_REFS: Final = 10_000
_POLICY: Final = """\
plugin: git
version: 1
credentials: {GITHUB_TOKEN: "${GITHUB_TOKEN}"}
credential_hosts: {GITHUB_TOKEN: [127.0.0.1]}
remotes: {push: [origin, %s/*], fetch: [origin]}
rules: {blocked_branches: [main], allowed_branch_patterns: [claude/*]}
approvals: {on_block: refuse}
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A workspace whose origin is the remote, and the remote as it was in each template."""

    remote: SmartHttp
    home: Home
    workspace: Path
    templates: Path

    def keep(self, name: str) -> None:
        """Remember the remote as it is."""
        shutil.copytree(self.remote.path(_NAME), self.templates / name)

    def push(self, template: str, refspec: str, *, ours: bool, by_path: bool = False) -> float:
        shutil.rmtree(self.remote.path(_NAME))
        shutil.copytree(self.templates / template, self.remote.path(_NAME))
        url = str(self.remote.path(_NAME)) if by_path else self._url(ours)
        return self._seconds(self.workspace, "push", "--quiet", url, refspec, ours=ours)

    def fetch(self, template: str, *, ours: bool) -> float:
        shutil.rmtree(self.remote.path(_NAME))
        shutil.copytree(self.templates / template, self.remote.path(_NAME))
        target = self.workspace / "fetched"
        shutil.rmtree(target, ignore_errors=True)
        native("init", "--quiet", str(target))
        _without_syncing(target)
        return self._seconds(
            target, "fetch", "--quiet", self._url(ours), "+refs/heads/*:refs/remotes/o/*", ours=ours
        )

    def _url(self, ours: bool) -> str:
        return self.remote.url(_NAME) if ours else self.remote.authorized_url(_NAME)

    def _seconds(self, where: Path, *arguments: str, ours: bool) -> float:
        mine = environment() | {"PLUGIN_SOCKET_DIR": str(self.home.sockets)}
        program = str(self.home.cli / "git") if ours else "git"
        start = time.perf_counter()
        subprocess.run([program, *arguments], cwd=where, env=mine, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def gateway(_: object) -> Iterator[Row]:
    with _scene() as scene:
        large, refs = "100 MB", f"{_REFS:,} refs"
        new, moved = "HEAD:refs/heads/claude/new", "HEAD:refs/heads/claude/old"
        many = "refs/heads/claude/n*:refs/heads/claude/n*"
        fewer = {"runs": 3}  # each takes long, whoever does it
        yield _row(f"push of {large}, a new branch", 0.6, _pushes(scene, "small", new))
        yield _row(f"push of {large}, a fast-forward", 0.6, _pushes(scene, "small", moved))
        # By HTTP git itself compares each ref with each: with so many it needs minutes for that alone.
        yield _row(f"push of {refs} to a path", 0.6, _pushes(scene, "small", many, by_path=True, **fewer))
        yield _row(f"fetch of {large}", 0.8, _fetches(scene, "large"))
        yield _row(f"fetch of {refs}", 0.8, _fetches(scene, "many", **fewer))


def _pushes(
    scene: Scene, template: str, refspec: str, *, by_path: bool = False, runs: int = _RUNS, warmup: int = 1
) -> Pair:
    return interleave(
        lambda: scene.push(template, refspec, ours=False, by_path=by_path),
        lambda: scene.push(template, refspec, ours=True, by_path=by_path),
        runs=runs, warmup=warmup,
    )  # fmt: skip


def _fetches(scene: Scene, template: str, *, runs: int = _RUNS, warmup: int = 1) -> Pair:
    return interleave(
        lambda: scene.fetch(template, ours=False), lambda: scene.fetch(template, ours=True),
        runs=runs, warmup=warmup,
    )  # fmt: skip


def _row(what: str, budget: float, pair: Pair) -> Row:
    return beside_direct(f"{what}, through the gateway", budget, pair)


@contextmanager
def _scene() -> Iterator[Scene]:
    """The remote, and a supervisor of its own with a gateway that has the token."""
    root = Path(tempfile.mkdtemp(prefix="cc-gw-")).resolve()
    (root / "upstream").mkdir()
    home = Home(root / "h")
    program = [str(Path(sys.executable).with_name("claude-container")), "--home", str(home.root)]
    try:
        with SmartHttp(root / "upstream") as remote:
            scene = Scene(remote, home, root / "w", root / "templates")
            _fill(scene)
            prepare_home(home)
            home.policy_file("git").write_text(_POLICY.replace("%s", str(remote.root / "repositories")))
            start = [*program, "start", "--workspace", str(scene.workspace)]
            mine = {**os.environ, "GITHUB_TOKEN": TOKEN}
            subprocess.run(start, check=True, env=mine, stdout=subprocess.DEVNULL)
            try:
                yield scene
            finally:
                subprocess.run([*program, "stop"], check=True, stdout=subprocess.DEVNULL)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _fill(scene: Scene) -> None:
    """Three states of the remote: with a small branch, with all of the content, and with many refs."""
    where, project = str(scene.workspace), str(scene.remote.create(_NAME))
    native("init", "--quiet", "--initial-branch=work", where)
    for repository in (where, project):
        _without_syncing(repository)
    _commit(scene.workspace, files=1, size=100)
    small = native("-C", where, "rev-parse", "HEAD").strip()
    native("-C", where, "push", "--quiet", project, "HEAD:refs/heads/claude/old")
    scene.keep("small")
    creations = "".join(f"create refs/heads/claude/n{number} {small}\n" for number in range(_REFS)).encode()
    for repository in (where, project):
        subprocess.run(
            ["git", "-C", repository, "update-ref", "--stdin"], input=creations, check=True, env=environment()
        )
        native("-C", repository, "pack-refs", "--all")
    scene.keep("many")
    _commit(scene.workspace, files=_FILES, size=_FILE_BYTES)
    native("-C", where, "repack", "--quiet", "-a", "-d")
    shutil.rmtree(project)
    shutil.copytree(scene.templates / "small", project)
    native("-C", where, "push", "--quiet", project, "HEAD:refs/heads/claude/new")
    scene.keep("large")
    native("-C", where, "remote", "add", "origin", scene.remote.url(_NAME))


def _commit(workspace: Path, *, files: int, size: int) -> None:
    for number in range(files):
        (workspace / f"{size}-{number}").write_bytes(os.urandom(size))
    native("-C", str(workspace), "add", "-A")
    native("-C", str(workspace), "commit", "--quiet", "-m", "content")


def _without_syncing(repository: Path | str) -> None:
    """A file that is synced for each ref would measure the disk, and drown everything else."""
    native("-C", str(repository), "config", "core.fsync", "none")
