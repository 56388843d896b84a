"""A home that an ordinary user has started with containers, and an agent that lives in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from supervisor.audit.reader import AuditFilter, AuditReader, AuditRow
from supervisor.containers.engine import Engine
from supervisor.containers.engine_errors import NotThere
from supervisor.containers.facts import labels
from supervisor.containers.names import AGENT, LABEL_INSTANCE, LABEL_PLUGIN, LABEL_RUNNER, image, instance_of
from supervisor.home import Home
from supervisor.images.recipes import image_version
from tests.docker.place import Terminal
from tests.e2e.ground import UID, Ground, ground, until
from tests.engine import BASE, CHOICES, give_images
from tests.plugins.git.box import IDENTITY
from tests.upstream import TOKEN

PROGRAM: Final = Path(sys.executable).with_name("claude-container")
TOOLS: Final = ("cut", "head", "nl", "paste", "seq", "sort", "tail", "tr", "uniq", "wc")


def ordinary_user(engine: Engine) -> list[str]:
    """Become one who may use the engine; reading what is root's (this Python) stays possible."""
    if os.geteuid() != 0:
        return []
    group = os.stat(engine.url.removeprefix("unix://")).st_gid
    reading = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    return ["setpriv", f"--reuid={UID}", f"--regid={UID}", f"--groups={group}", *reading, "--"]


@dataclass
class Installed:
    """A home, started, and an agent that lives in its container."""

    ground: Ground
    engine: Engine
    agent: str = ""
    agents: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def home(self) -> Home:
        return Home(self.ground.home)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.ground.root), "DOCKER_HOST": self.engine.url,
            "GITHUB_TOKEN": TOKEN, **IDENTITY,
        }  # fmt: skip

    def command(self, *arguments: str) -> list[str]:
        return [*ordinary_user(self.engine), str(PROGRAM), "--home", str(self.ground.home), *arguments]

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), cwd=self.ground.workspace, env=self.environment(), text=True,
            capture_output=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def told(self, *arguments: str) -> str:
        done = self.cli(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.told("status", "--json")))

    def runs(self) -> bool:
        done = self.cli("status", "--json")
        plugins = json.loads(done.stdout)["plugins"] if done.returncode == 0 else []
        return bool(plugins) and all(each["state"] == "running" for each in plugins)

    def inside(self, container: str, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "exec", container, *command], env=self.environment(), text=True, capture_output=True,
            timeout=120, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.inside(self.agent, "git", *arguments)

    def containers(self, plugin: str) -> list[dict[str, Any]]:
        label = LABEL_RUNNER if plugin == AGENT else f"{LABEL_PLUGIN}={plugin}"
        ours = [f"{name}={value}" for name, value in labels(self.home).items()]
        return list(self.engine.api.containers(filters={"label": [label, *ours]}))

    def container(self, plugin: str) -> str:
        (found,) = self.containers(plugin)
        return str(found["Id"])

    def pid(self, plugin: str) -> int:
        return int(self.engine.api.inspect_container(self.container(plugin))["State"]["Pid"])

    def pids(self, plugin: str) -> list[int]:
        """Of a plugin that may be coming or going; 0 is that of a container that does not run."""
        with suppress(NotThere), self.engine.translated():
            listed = [str(each["Id"]) for each in self.containers(plugin)]
            return [int(self.engine.api.inspect_container(each)["State"]["Pid"]) for each in listed]
        return []

    def addresses(self, plugin: str) -> list[str]:
        networks = self.engine.api.inspect_container(self.container(plugin))["NetworkSettings"]["Networks"]
        return [str(facts["IPAddress"]) for facts in networks.values()]

    def share_image(self, of: str, tool: str) -> None:
        own, its = (image(each, image_version(self.home)) for each in (of, tool))
        self.engine.api.tag(own, *its.split(":"))

    def rows(self) -> list[AuditRow]:
        reader = AuditReader(self.home.audit_db)
        try:
            return list(reader.rows(AuditFilter(), 0, 100_000))
        finally:
            reader.close()

    def logs(self) -> str:
        return "\n".join(f"--- {path}\n{path.read_text()}" for path in sorted(self.home.logs.glob("*.log")))

    def start(self) -> None:
        self.told("start", "--runtime", "docker", "--workspace", str(self.ground.workspace))

    def terminal(self, *command: str, rows: int = 24, columns: int = 80) -> Terminal:
        return Terminal(
            self.command("run", "--", *command), self.environment(), self.ground.workspace, rows, columns
        )

    def start_agent(self) -> None:
        process = subprocess.Popen(
            self.command("run", "--", "sleep", "infinity"), cwd=self.ground.workspace, env=self.environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.agents.append(process)
        until(lambda: self.containers(AGENT) != [], self.logs)
        self.agent = self.container(AGENT)
        until(lambda: self.git("rev-parse", "HEAD").returncode == 0, self.logs)

    def end(self) -> None:
        for process in self.agents:
            process.terminate()
            process.wait()
        self.cli("stop")


@contextmanager
def installed(engine: Engine, *, beside: Engine | None = None) -> Iterator[Installed]:
    """With the images that the tests share. `beside`: the engine that makes the remote's network."""
    with ground(beside or engine) as made:
        site = Installed(made, engine)
        made.home.mkdir()
        made.give_away()
        site.told("init")
        made.allow_the_token_here()
        tables = "\n".join(f'[{tool}]\nbase = "{BASE}"\n' for tool in TOOLS)
        (made.home / "config" / "images.toml").write_text(f"{CHOICES}\n{tables}")
        made.give_away()
        give_images(engine, site.home, "git", AGENT)
        try:
            site.start()
            yield site
        finally:
            _end(site)


def _end(site: Installed) -> None:
    site.end()
    ours = {"label": f"{LABEL_INSTANCE}={instance_of(site.home)}"}
    for each in site.engine.api.containers(all=True, filters=ours):
        site.engine.api.remove_container(each["Id"], force=True)
    for each in site.engine.api.networks(filters=ours):
        site.engine.api.remove_network(each["Id"])
    for tool in ("git", AGENT, *TOOLS):
        with suppress(Exception):
            site.engine.api.remove_image(image(tool, image_version(site.home)))
