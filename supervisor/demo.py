"""The demo: a scratch project with an upstream, and a scripted agent that works and misbehaves.

Everything lies in one temporary directory, which is removed at the end. The agent is a plain
program on the agent's side: it has the wrappers on its PATH and nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from supervisor.home import Home
from supervisor.setup import prepare_home

_TOPICS = ("parser", "cache", "metrics", "retries", "logging", "timeouts", "paging", "search")
_IDENTITY = {
    "GIT_AUTHOR_NAME": "Demo Agent", "GIT_AUTHOR_EMAIL": "agent@demo.invalid",
    "GIT_COMMITTER_NAME": "Demo Agent", "GIT_COMMITTER_EMAIL": "agent@demo.invalid",
}  # fmt: skip


class Demo:
    """A scratch home and workspace, and the agent that works in it. Use as a context manager."""

    def __init__(self, scratch: Path | None = None) -> None:
        """`scratch` is a new directory to make, for all of it; by default one of a random name."""
        if scratch is not None:
            scratch.mkdir()
        # Resolved: the agent's shell would see /private/tmp, /var/tmp links and the like resolved too.
        self._scratch = (scratch or Path(tempfile.mkdtemp(prefix="cc-demo-"))).resolve()
        self.home = Home(self._scratch / "home")
        self.workspace = self._scratch / "project"
        self._upstream = self._scratch / "upstream.git"
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        try:
            prepare_home(self.home)
            self._make_project()
        except BaseException:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_agent()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def start_agent(self) -> None:
        """Let the agent work, and misbehave beside it, until `stop_agent`."""
        log = self.home.logs / "agent.log"
        for target in (self._work, self._misbehave):
            thread = threading.Thread(target=target, args=(log,), name=f"demo-{target.__name__}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop_agent(self) -> None:
        self._stop.set()
        with self._lock:
            for process in self._processes:
                process.terminate()
        for thread in self._threads:
            thread.join(timeout=5)

    def _make_project(self) -> None:
        """A project with some history, and a bare upstream that is its origin."""
        native = {**os.environ, **_IDENTITY, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}

        def git(*arguments: str) -> None:
            subprocess.run(["git", *arguments], check=True, capture_output=True, env=native)

        git("init", "--quiet", "--bare", "--initial-branch=main", str(self._upstream))
        git("init", "--quiet", "--initial-branch=main", str(self.workspace))
        for topic in _TOPICS[:3]:
            (self.workspace / f"{topic}.py").write_text(f'"""The {topic} of the demo project."""\n')
            git("-C", str(self.workspace), "add", ".")
            git("-C", str(self.workspace), "commit", "--quiet", "-m", f"Add the {topic}")
        git("-C", str(self.workspace), "remote", "add", "origin", str(self._upstream))
        git("-C", str(self.workspace), "push", "--quiet", "-u", "origin", "main")
        git("-C", str(self.workspace), "push", "--quiet", "origin", "main:claude/old-experiment")

    def _work(self, log: Path) -> None:
        """An honest day's work: branch, edit, commit, look around, push."""
        for topic, branch in _branches():
            file = self.workspace / f"{topic}.py"
            steps: tuple[tuple[str, ...] | Callable[[], object], ...] = (
                ("git", "switch", "--quiet", "-C", branch, "main"),
                partial(file.write_text, f"# {branch}\n"),
                ("git", "status", "--short"),
                ("git", "add", "--all"),
                ("git", "commit", "--quiet", "-m", f"Improve the {topic}"),
                ("git", "log", "--oneline", "-3"),
                ("git", "push", "--quiet", "-u", "origin", branch),
                ("git", "fetch", "--quiet", "origin"),
            )
            for step in steps:
                self._run(step, log) if isinstance(step, tuple) else step()
                if self._stop.wait(0.7):
                    return

    def _misbehave(self, log: Path) -> None:
        """What must not pass, again and again; each waits for the operator as long as it may."""
        attempts = (
            "git push origin main~1:main --force",
            "git config --global user.name root",
            "git push origin HEAD:main",
            "git -c alias.ship='push origin HEAD:refs/heads/production' ship",
            "git push origin --delete claude/old-experiment",
            "git remote set-url origin https://example.invalid/elsewhere.git",
            "git push --mirror",
        )
        waiting: list[threading.Thread] = []
        for number in count():
            attempt = attempts[number % len(attempts)]
            thread = threading.Thread(target=self._run, args=(("sh", "-c", attempt), log), daemon=True)
            thread.start()
            waiting = [other for other in [*waiting, thread] if other.is_alive()]
            # A patient agent: as long as many of its commands wait for an answer, it tries nothing new.
            if self._stop.wait(3.0 if len(waiting) < len(attempts) else 15.0):
                return

    def _run(self, argv: tuple[str, ...], log: Path) -> None:
        environment = {
            **_IDENTITY,
            "PATH": f"{self.home.cli}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PLUGIN_SOCKET_DIR": str(self.home.sockets),
        }
        with log.open("ab") as output:
            output.write(f"$ {argv[2] if argv[0] == 'sh' else ' '.join(argv)}\n".encode())
            output.flush()
            with self._lock:
                if self._stop.is_set():
                    return
                process = subprocess.Popen(
                    argv, cwd=self.workspace, env=environment, stdin=subprocess.DEVNULL,
                    stdout=output, stderr=subprocess.STDOUT,
                )  # fmt: skip
                self._processes.add(process)
            process.wait()
            with self._lock:
                self._processes.discard(process)


def _branches() -> Iterator[tuple[str, str]]:
    for number in count(1):
        topic = _TOPICS[number % len(_TOPICS)]
        yield topic, f"claude/{topic}-{number}"
