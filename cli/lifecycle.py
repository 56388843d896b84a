"""init, start, stop, status, logs, env, lockdown, tui: the life of one installation."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from cli.connection import ask, ask_if_running
from cli.credentials import renew
from cli.output import age, emit, json_option, table
from plugins.base.errors import ClaudeContainerError
from supervisor.api.client import NotRunning
from supervisor.home import Home
from supervisor.runtimes.choice import WANTED, Wanted
from supervisor.setup import prepare_home
from supervisor.status import PluginStatus, Status

pass_home = click.make_pass_decorator(Home)

workspace_option = click.option(
    "--workspace", type=click.Path(path_type=Path), default=Path(),
    help="The project the agent works on.  [default: this directory]",
)  # fmt: skip


@click.command()
@pass_home
def init(home: Home) -> None:
    """Set up the home: directories, the client and its wrappers, default policies.

    Run again, it adds what is missing and changes nothing that is there.
    """
    done = prepare_home(home)
    for line in done or [f"Everything is in place in {home.root}."]:
        click.echo(line)
    click.echo(
        f"Next: edit {home.policy_file('git')}, then run: claude-container start --workspace YOUR_PROJECT"
    )


@click.command()
@workspace_option
@click.option(
    "--runtime", type=click.Choice(WANTED), default="auto", show_default=True,
    help="auto: containers, where an engine answers and the images are built.",
)  # fmt: skip
@click.option("--foreground", is_flag=True, help="Stay in the foreground and log to stderr.")
@pass_home
def start(home: Home, workspace: Path, runtime: Wanted, foreground: bool) -> None:
    """Start the supervisor and its plugins; returns when every plugin is healthy."""
    from supervisor import daemon
    from supervisor.runtimes.choice import choose, tools

    prepare_home(home)
    already = running(home) is not None
    chosen = daemon.PROCESSES if already else choose(home, runtime)
    if chosen.name == "docker" and runtime == "docker":
        from cli.build import build_missing, opened_images

        with opened_images(home) as (_, images):
            build_missing(images, tools(home))
    if foreground:
        daemon.run_in_foreground(home, workspace.absolute(), chosen)
        return
    status = daemon.start_in_background(home, workspace.absolute(), chosen)
    if already:
        renew(home)
    click.echo(f"Running (pid {status.pid}) on {status.workspace}: {_healthy(status)}.")
    click.echo(_runtime(status))
    click.echo('To use the wrappers in this shell: eval "$(claude-container env)"')


def _runtime(status: Status) -> str:
    what = "Plugins run in containers" if status.runtime == "docker" else "Plugins run as processes of yours"
    return f"{what}: {status.runtime_reason}." if status.runtime_reason else f"{what}."


def _healthy(status: Status) -> str:
    names = ", ".join(plugin.name for plugin in status.plugins if plugin.state == "running")
    return f"{names} healthy" if names else "no plugins yet; add one with: claude-container plugin add NAME"


@click.command()
@pass_home
def stop(home: Home) -> None:
    """Stop the plugins and the supervisor."""
    from supervisor import daemon

    click.echo("Stopped." if daemon.stop(home) else f"Nothing is running in {home.root}.")


@click.command()
@json_option
@pass_home
def status(home: Home, as_json: bool) -> int:
    """Show the supervisor and every plugin. Exits 1 when one that should run does not."""
    state = ask(home, lambda client: client.status())
    if as_json:
        emit(state)
    else:
        _print_status(state)
    return 0 if all(_fine(plugin) for plugin in state.plugins) else 1


def _fine(plugin: PluginStatus) -> bool:
    return not plugin.wanted or plugin.state == "running"


def _print_status(state: Status) -> None:
    click.echo(
        f"Supervisor   pid {state.pid}, up {age(time.time() - state.started)}, {state.runtime} runtime"
    )
    if state.runtime_reason:
        click.echo(f"Runtime      {state.runtime}: {state.runtime_reason}")
    click.echo(f"Workspace    {state.workspace}")
    click.echo(f"Origin       {state.origin or 'none (nothing can be pushed)'}")
    click.echo(f"Waiting      {state.requests_open} requests, {state.operators} operators attached")
    if state.lockdown is not None:
        click.echo(f"LOCKDOWN     every command is refused: {state.lockdown}")
    for warning in state.warnings:
        click.echo(f"Warning      {warning}")
    click.echo()
    table(
        ("PLUGIN", "STATE", "POLICY", "COMMANDS", "BLOCKED", "P95", "TOOL"),
        [_row(plugin) for plugin in state.plugins],
        empty="No plugins; add one with: claude-container plugin add NAME",
    )
    for plugin in state.plugins:
        _print_notes(plugin)


def _row(plugin: PluginStatus) -> tuple[object, ...]:
    latency = f"{plugin.p95_ms:.1f} ms" if plugin.commands else "-"
    counts = (plugin.commands, plugin.blocked, latency)
    return (plugin.name, plugin.state, plugin.policy.state, *counts, plugin.tool or "-")


def _print_notes(plugin: PluginStatus) -> None:
    if plugin.reason:
        click.echo(f"{plugin.name}: {plugin.reason}")
    for problem in plugin.policy.problems:
        click.echo(f"{plugin.name}: {problem}")
    for missing in plugin.isolation.missing:
        click.echo(f"{plugin.name}: isolation: {missing}")


@click.command()
@click.argument("plugin")
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is added.")
@click.option("-n", "--lines", default=100, show_default=True, help="How many of the last lines.")
@pass_home
def logs(home: Home, plugin: str, follow: bool, lines: int) -> None:
    """Show the last lines of a plugin's log, or with `supervisor` the supervisor's own."""
    path = home.logs / f"{plugin}.log"
    if "/" in plugin or not path.is_file():
        known = ", ".join(sorted(file.stem for file in home.logs.glob("*.log"))) or "none yet"
        raise ClaudeContainerError(f"There is no log of {plugin!r}.", hint=f"Logs there are: {known}.")
    for line in _tail(path, lines, follow=follow):
        click.echo(line, nl=False)


def _tail(path: Path, lines: int, *, follow: bool) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="backslashreplace") as file:
        yield from file.readlines()[-lines:] if lines else ()
        while follow:
            line = file.readline()
            if line:
                yield line
            else:
                time.sleep(0.2)


@click.command()
@click.option("--shell", type=click.Choice(["sh", "fish"]), default="sh", show_default=True)
@pass_home
def env(home: Home, shell: str) -> None:
    """Print the exports that put the wrappers first on PATH: eval "$(claude-container env)"."""
    if not (home.cli / "plugin-client").exists():
        raise ClaudeContainerError(f"There are no wrappers in {home.cli}.", hint="Run: claude-container init")
    path = os.pathsep.join([str(home.cli), *_without(home.cli, os.environ.get("PATH", os.defpath))])
    for name, value in (("PLUGIN_SOCKET_DIR", str(home.sockets)), ("PATH", path)):
        quoted = shlex.quote(value)
        click.echo(f"set -gx {name} {quoted}" if shell == "fish" else f"export {name}={quoted}")
    if sys.stdout.isatty():
        click.echo('# To use them in this shell, run: eval "$(claude-container env)"', err=True)


def _without(directory: Path, path: str) -> list[str]:
    return [entry for entry in path.split(os.pathsep) if entry and Path(entry) != directory]


@click.command()
@click.option("--off", is_flag=True, help="Lift the lockdown.")
@click.argument("message", default="The operator has locked everything down.")
@pass_home
def lockdown(home: Home, off: bool, message: str) -> None:
    """Refuse every command of every plugin, with MESSAGE for the agent, until lifted with --off."""
    if message.lower() in ("off", "on"):  # somebody means the switch, not what the agent is to read
        raise click.UsageError("Lift a lockdown with --off; begin one with no word, or with a message.")
    ask(home, lambda client: client.lockdown(not off, "" if off else message))
    click.echo(
        "Lifted."
        if off
        else "Locked down: every command is refused. Lift it with: claude-container lockdown --off"
    )


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_home
def tui(home: Home, arguments: tuple[str, ...]) -> None:
    """Open the dashboard; takes what cc-tui takes."""
    program = Path(sys.argv[0]).with_name("cc-tui")
    os.execvp(program if program.exists() else "cc-tui", ["cc-tui", "--home", str(home.root), *arguments])  # noqa: S606


def running(home: Home) -> Status | None:
    """The supervisor's status, or None when none runs."""
    return ask_if_running(home, lambda client: client.status())


__all__ = ["NotRunning", "env", "init", "lockdown", "logs", "start", "status", "stop", "tui"]
