"""One project, two worlds: plain git with the credential, and the same commands through us.

The remote protects nothing by itself. `Site.harm` says what was done to it, or given away.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plugins.base.control import StartConfig
from supervisor.home import Home
from supervisor.setup import prepare_home
from tests.escape.box import boxed, can_box, search_path
from tests.escape.evil import Evil
from tests.upstream import TOKEN, USER, SmartHttp, native

PROJECT: Final = "private/project.git"
OTHER: Final = "private/other.git"
_PATIENCE: Final = 50.0  # seconds for one script

_WHEN: Final = "2026-01-02T03:04:05Z"  # the same commits each time

_POLICY: Final = """\
plugin: git
version: 1
credentials: {GITHUB_TOKEN: "${GITHUB_TOKEN}"}
credential_hosts: {GITHUB_TOKEN: [127.0.0.1]}
remotes: {push: [origin], fetch: [origin]}
rules:
  blocked_branches: [main, master, release/*, production]
  allowed_branch_patterns: [claude/*]
  blocked_subcommands: [config --global, remote set-url, remote remove, remote rename]
approvals: {on_block: refuse}
"""
# Pushes main from wherever it is started, in every way that planted code can try; then passes its input on.
# Who cannot have a box of its own sees all processes, those of other tests too: there it does not look.
_PLANT: Final = """\
#!/bin/sh
unset GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE GIT_PREFIX GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT
cd {workspace} || exit 1
[ -z "$PLANTED" ] || exit 1
export PLANTED=1
for way in "" "env -u GIT_EXEC_PATH" "env -u GIT_ALLOW_PROTOCOL -u GIT_EXEC_PATH"; do
    $way git -c core.fsmonitor=false -c core.hooksPath=/dev/null push -q origin HEAD:refs/heads/main \\
        </dev/null >/dev/null 2>&1
done
{look} /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -a -i token
echo planted
[ -t 0 ] || cat
exit 0
"""
_NATIVE_CONFIG: Final = """\
[user]
	name = Developer
	email = dev@example.invalid
[credential]
	helper = "!f() {{ echo username={user}; echo password={token}; }}; f"
[protocol "file"]
	allow = always
"""


@dataclass(frozen=True, slots=True)
class Done:
    """How a script ended, and all that it printed."""

    exit_code: int
    output: str


class Site:
    """The remote, the workspace, and both ways to run a script in it."""

    def __init__(self, root: Path, remote: SmartHttp, evil: Evil) -> None:
        self.root = root
        self.remote = remote
        self.evil = evil
        self.workspace = root / "w"
        self.home = Home(root / "h")
        self._developer = root / "developer"
        self._agent = root / "agent"
        self._template = root / "template"
        self._make()

    # ------------------------------------------------------------ the scene

    def _make(self) -> None:
        for home in (self._developer, self._agent):
            home.mkdir()
        (self._developer / ".gitconfig").write_text(_NATIVE_CONFIG.format(user=USER, token=TOKEN))
        project = self.remote.create(PROJECT)
        self.remote.create(OTHER)
        where = str(self.workspace)
        native("init", "--quiet", "--initial-branch=main", where)
        self._commit("first")
        native("-C", where, "push", "--quiet", str(project), "main", "main:release/1", "main:refs/tags/v0")
        native("-C", where, "switch", "--quiet", "-c", "other")
        self._commit("other")
        native("-C", where, "push", "--quiet", str(project), "other:claude/other")
        native("-C", where, "switch", "--quiet", "-c", "claude/mine", "main")
        native("-C", where, "branch", "--quiet", "-D", "other")
        self._commit("mine")
        native("-C", where, "remote", "add", "origin", self.remote.url(PROJECT))
        native("-C", where, "fetch", "--quiet", str(project), "+refs/heads/*:refs/remotes/origin/*")
        native("-C", where, "config", "user.name", "Agent")
        native("-C", where, "config", "user.email", "agent@example.invalid")
        native("init", "--quiet", "--bare", "--initial-branch=main", f"{where}/local.git")
        (self.workspace / ".git" / "info" / "exclude").write_text("plant.sh\ndeaf.sh\nlocal.git\n")
        self._program("plant.sh", _PLANT.format(workspace=where, look="cat" if can_box() else ":"))
        self._program("deaf.sh", f"#!/bin/sh\nexec {where}/plant.sh </dev/null\n")
        shutil.copytree(self.workspace, self._template / "w", symlinks=True)
        shutil.copytree(self.remote.root / "repositories", self._template / "repositories")
        self._before = self.all_refs()

    def _program(self, name: str, text: str) -> None:
        (self.workspace / name).write_text(text)
        (self.workspace / name).chmod(0o755)

    def _commit(self, text: str) -> None:
        (self.workspace / "file").write_text(f"{text}\n")
        native("-C", str(self.workspace), "add", "file")
        native("-C", str(self.workspace), "commit", "--quiet", "-m", text)

    def reset(self) -> None:
        """Put workspace and remote back, keeping the workspace's own directory (somebody watches it)."""
        _replace_contents(self._template / "w", self.workspace)
        _replace_contents(self._template / "repositories", self.remote.root / "repositories")
        _replace_contents(Path(), self._agent)
        self.evil.forget()

    # ------------------------------------------------------------ running

    def native(self, script: str) -> Done:
        """Run as the developer, with plain git and the credential."""
        return self._run(script, search_path(), self._developer, more={"GITHUB_TOKEN": TOKEN})

    def contained(self, script: str) -> Done:
        """Run as the agent, with the wrappers."""
        return self._run(
            script, search_path(self.home.cli), self._agent, (self.home.cli, self.home.sockets),
            {"PLUGIN_SOCKET_DIR": str(self.home.sockets)},
        )  # fmt: skip

    def _run(
        self, script: str, path: str, home: Path, sees: tuple[Path, ...] = (),
        more: dict[str, str] | None = None,
    ) -> Done:  # fmt: skip
        """Both sides live in a box: they reach the same, but for what each is given."""
        environment = {
            "PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0", "GIT_AUTHOR_DATE": _WHEN, "GIT_COMMITTER_DATE": _WHEN,
            "ORIGIN": self.remote.url(PROJECT), "OTHER": self.remote.url(OTHER),
            "BASE": f"http://127.0.0.1:{self.remote.port}/", "EVIL": self.evil.url,
            "PLANT": str(self.workspace / "plant.sh"),
            "DEAF": str(self.workspace / "deaf.sh"), "W": str(self.workspace), **(more or {}),
        }  # fmt: skip
        box = boxed(
            ["/bin/sh", "-c", script], at=self.workspace, writable=(self.workspace, home), readable=sees
        )
        with subprocess.Popen(
            box, cwd=self.workspace, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                output, _ = process.communicate(timeout=_PATIENCE)
            finally:
                _end_group(process.pid)
        return Done(process.returncode, output.decode("utf-8", "replace"))

    # ------------------------------------------------------------ what came of it

    def all_refs(self) -> dict[str, dict[str, str]]:
        """The refs of each repository of the remote: {repository: {ref: commit}}."""
        return {name: self.remote.refs(name) for name in (PROJECT, OTHER)}

    def harm(self, done: Done | None = None) -> set[str]:
        """What was violated: "moved", "deleted", "created", "elsewhere", "leaked"."""
        found: set[str] = set()
        before, now = self._before, self.all_refs()
        for ref, old in before[PROJECT].items():
            if ref not in now[PROJECT]:
                found.add("deleted")
            elif now[PROJECT][ref] != old:
                found.add("moved")
        new = now[PROJECT].keys() - before[PROJECT].keys()
        if any(not ref.startswith("refs/heads/claude/") for ref in new):
            found.add("created")
        if now[OTHER] != before[OTHER]:
            found.add("elsewhere")
        if self.evil.saw(TOKEN) or (done is not None and TOKEN in done.output):
            found.add("leaked")
        return found

    def token_found_in(self) -> list[str]:
        """Which files of the home, environments and command lines of our processes hold the token."""
        files = [path for path in self.home.root.rglob("*") if path.is_file()]
        for pid in self._processes():
            files += [Path("/proc", pid, name) for name in ("environ", "cmdline")]
        forms = [TOKEN.encode(), base64.b64encode(f"{USER}:{TOKEN}".encode())]
        return [str(path) for path in files if any(form in _bytes(path) for form in forms)]

    def _processes(self) -> list[str]:
        """Supervisor, plugins and workers: what has this home, or our worker, in its command line."""
        signs = (os.fsencode(self.home.root), b"plugins.base.worker")
        lines = {each.parent.name: _bytes(each) for each in Path("/proc").glob("[0-9]*/cmdline")}
        return [pid for pid, line in lines.items() if any(sign in line for sign in signs)]

    def gateway(self) -> StartConfig:
        """What the running gateway was started with."""
        start = self.home.plugin_state("git-gateway") / "start.json"
        return StartConfig.model_validate_json(start.read_bytes())


def _replace_contents(source: Path, target: Path) -> None:
    for entry in target.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if source != Path():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)


def _end_group(group: int) -> None:
    """What an attack leaves running must not be there for the next."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile, or is not ours to read
        return b""


@contextmanager
def site() -> Iterator[Site]:
    """A site with a running supervisor, git plugin and gateway. Skips where there is no lighttpd."""
    root = Path(tempfile.mkdtemp(prefix="cc-esc-")).resolve()
    program = [str(Path(sys.executable).with_name("claude-container")), "--home", str(root / "h")]
    upstream = root / "upstream"
    upstream.mkdir()
    try:
        with SmartHttp(upstream) as remote, Evil() as evil:
            here = Site(root, remote, evil)
            prepare_home(here.home)
            here.home.policy_file("git").write_text(_POLICY)
            environment = {**os.environ, "GITHUB_TOKEN": TOKEN}
            start = [*program, "start", "--runtime", "process", "--workspace", str(here.workspace)]
            subprocess.run(start, check=True, env=environment, stdout=subprocess.DEVNULL)
            try:
                yield here
            finally:
                subprocess.run([*program, "stop"], check=True, stdout=subprocess.DEVNULL)
    finally:
        shutil.rmtree(root, ignore_errors=True)
