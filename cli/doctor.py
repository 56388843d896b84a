"""doctor: looks for what would keep the system from working, and names a fix for each problem."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict

import click

from cli import doctor_engine
from cli.connection import ask, ask_if_running
from cli.findings import Finding
from cli.output import emit, json_option
from plugins.base.errors import ClaudeContainerError
from plugins.base.registry import plugin_class
from plugins.base.sandbox import available_isolation
from supervisor.api.client import NotRunning
from supervisor.containers.names import AGENT
from supervisor.gateways import serves
from supervisor.home import Home
from supervisor.policies.store import PolicyStore

pass_home = click.make_pass_decorator(Home)


@click.command()
@json_option
@pass_home
def doctor(home: Home, as_json: bool) -> int:
    """Look for problems, and say how to fix each. Exits 1 when there is one."""
    findings = [finding for look in _CHECKS for finding in look(home)]
    if as_json:
        emit([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(finding.text)
    return 1 if any(finding.fix for finding in findings) else 0


def _python(_: Home) -> Iterator[Finding]:
    yield Finding("Python", f"{platform.python_version()} ({sys.executable})")


def _kernel(_: Home) -> Iterator[Finding]:
    isolation = available_isolation()
    for missing in isolation.missing:
        yield Finding(
            "Isolation", missing, "Use a Linux kernel of 6.7 or newer with Landlock and seccomp enabled."
        )
    if not isolation.missing:
        yield Finding("Isolation", f"Landlock ABI {isolation.landlock_abi} and seccomp")


def _home(home: Home) -> Iterator[Finding]:
    if not home.root.is_dir():
        yield Finding("Home", f"{home.root} is not set up", "Run: claude-container init")
        return
    if not os.access(home.root, os.W_OK):
        yield _unwritable(home)
        return
    for private in (home.state, home.run):
        if private.exists() and stat.S_IMODE(private.stat().st_mode) & 0o077:
            yield Finding("Home", f"{private} is open to others", f"Run: chmod 700 {private}")
    free = shutil.disk_usage(home.root).free
    if free < 256 * 1024 * 1024:
        yield Finding(
            "Disk", f"{free // 1024 // 1024} MiB free below {home.root}", "Make space: events need it."
        )
    yield Finding("Home", str(home.root))


def _unwritable(home: Home) -> Finding:
    state = f"{home.root} cannot be written"
    if os.statvfs(home.root).f_flag & os.ST_RDONLY:
        return Finding("Home", f"{state}: its disk is read-only", "Use a home on another disk: --home DIR")
    return Finding("Home", state, f"Run: sudo chown -R $USER {home.root}")


def _client(home: Home) -> Iterator[Finding]:
    client = home.cli / "plugin-client"
    if not client.exists():
        yield Finding("Client", f"{client} is missing", "Run: claude-container init")
    elif not os.access(client, os.X_OK):
        yield Finding("Client", f"{client} cannot be executed", f"Run: chmod 755 {client}")
    else:
        yield Finding("Client", str(client))


def _policies(home: Home) -> Iterator[Finding]:
    store, in_containers = PolicyStore(home), _in_containers(home)
    files = sorted(home.config.glob("*.yaml"))
    if not files:
        yield Finding("Policies", f"{home.config} has none", "Run: claude-container plugin add NAME")
    for path in files:
        problems = store.read(path.stem).problems
        for problem in problems:
            yield Finding(
                "Policy", str(problem), f"Edit {path}; until then the last good policy stays in force."
            )
        if not problems:
            yield Finding("Policy", f"{path.name} is fine")
        if serves(path.stem):
            yield from _tool(path.stem, in_containers=in_containers)


def _tool(tool: str, *, in_containers: bool) -> Iterator[Finding]:
    try:
        plugin_class(tool)
    except ClaudeContainerError as error:
        yield Finding("Plugin", error.message, error.hint)
    if shutil.which(tool) is None and not in_containers:
        yield Finding(
            "Tool",
            f"{tool} is not installed here",
            f"Install {tool}, or run: claude-container plugin remove {tool}",
        )


def _supervisor(home: Home) -> Iterator[Finding]:
    try:
        state = ask(home, lambda client: client.status())
    except NotRunning:
        yield Finding(
            "Supervisor", "not running (start it with claude-container start, or open cc-tui)", note=True
        )
        return
    yield Finding("Supervisor", f"pid {state.pid} on {state.workspace}")
    for warning in state.warnings:
        yield Finding("Supervisor", warning, "See: claude-container logs supervisor")
    for plugin in state.plugins:
        if plugin.wanted and plugin.state != "running":
            yield Finding(
                plugin.name, f"{plugin.state}: {plugin.reason or 'no reason known'}",
                f"See: claude-container logs {plugin.name}",
            )  # fmt: skip


def _agent(home: Home) -> Iterator[Finding]:
    """Where the agent's own container connects to."""
    state = ask_if_running(home, lambda client: client.status())
    if state is None:
        return
    if state.runtime == "process":
        text = "the network of its container is not limited, as plugins are processes here"
        yield Finding("Agent", text, note=True)
    elif not home.policy_file(AGENT).exists():
        text = f"its container has no network; give it one with: claude-container plugin add {AGENT}"
        yield Finding("Agent", text, note=True)
    else:
        policy = PolicyStore(home).in_force(AGENT)
        hosts = ", ".join(policy.network.allow) if policy is not None else ""
        yield Finding("Agent", f"its container connects to {hosts or 'nothing'}, and to what you say yes to")


def _in_containers(home: Home) -> bool:
    """Whether plugins run in containers: then their tools are the images'."""
    state = ask_if_running(home, lambda client: client.status())
    return state is not None and state.runtime == "docker"


def _engine(home: Home) -> Iterator[Finding]:
    state = ask_if_running(home, lambda client: client.status())
    in_containers = state is not None and state.runtime == "docker"
    yield from doctor_engine.look(home, needed=in_containers)
    for plugin in state.plugins if state is not None and in_containers else ():
        for missing in plugin.isolation.missing:
            yield Finding(
                plugin.name, f"isolation in its container: {missing}",
                "Use a Linux kernel of 6.7 or newer with Landlock and seccomp enabled.",
            )  # fmt: skip


_CHECKS: tuple[Callable[[Home], Iterator[Finding]], ...] = (
    _python, _kernel, _home, _client, _policies, _supervisor, _agent, _engine,
)  # fmt: skip
