"""run: the agent, or any command, in its container: the workspace, the wrappers, and nothing else of ours."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from cli import attach
from cli.build import build_missing, opened_images
from cli.connection import ask
from cli.reaper import reaping
from plugins.base.errors import ClaudeContainerError
from supervisor.containers.agent import AgentContainer, remove_left_over
from supervisor.containers.agent_network import Way, way_out
from supervisor.containers.calls import ContainerCalls
from supervisor.containers.connection import connected
from supervisor.containers.facts import WORKSPACE, Container, of_agent, own_user
from supervisor.containers.names import AGENT
from supervisor.home import Home
from supervisor.status import Status

pass_home = click.make_pass_decorator(Home)

# What Claude Code knows its user by: one of them is needed.
_KEYS: Final = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
_SETTINGS: Final = (
    "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", "TERM", "COLORTERM", "NO_COLOR", "TZ",
    "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL",
)  # fmt: skip
_UNREAD: Final = 128 + signal.SIGPIPE


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@pass_home
def run(home: Home, command: tuple[str, ...]) -> int:
    """Run Claude Code, or COMMAND, in the agent's container.

    It sees the workspace, the wrappers and the plugins' sockets; of this environment the key of Claude Code,
    git's author and the terminal's settings. It connects to what config/claude.yaml names, and to nothing
    else (with plugins as processes: to anything). Ends with the command's exit status.
    """
    state = ask(home, lambda client: client.status())
    environment = environment_of(os.environ, needs_key=not command)
    with opened_images(home) as (engine, images):
        build_missing(images, [AGENT])
        at = connected(engine, home)
        remove_left_over(at.calls)
        try:
            way = way_out(home, state, at.networks)
            _tell(home, way)
            wanted = of_agent(
                home, Path(state.workspace), own_user(), images.version, command, _place(state), way.network
            )
            wanted = replace(wanted, working_directory=_directory(state))
            return _run(home, at.calls, wanted, {**environment, **way.environment})
        finally:
            at.networks.remove_all()


def _tell(home: Home, way: Way) -> None:
    if way.network is None:
        click.echo(
            f"The agent has no network: there is no {home.policy_file(AGENT)}.\n"
            f"hint: Make one that lets Claude Code work with: claude-container plugin add {AGENT}",
            err=True,
        )


def environment_of(ours: Mapping[str, str], *, needs_key: bool) -> dict[str, str]:
    """What of our environment the agent gets. Raises `ClaudeContainerError` when it has no key."""
    if needs_key and not any(ours.get(name) for name in _KEYS):
        raise ClaudeContainerError(
            "Claude Code has no key.",
            hint="Run: export ANTHROPIC_API_KEY=...  (or CLAUDE_CODE_OAUTH_TOKEN, from `claude setup-token`)",
        )
    return {name: ours[name] for name in (*_KEYS, *_SETTINGS) if ours.get(name)}


def _place(state: Status) -> str:
    """Where plugins see the workspace, and so where the agent must."""
    return WORKSPACE if state.runtime == "docker" else state.workspace


def _directory(state: Status) -> str:
    """The directory that is this one, when we are in the workspace, else its top."""
    try:
        return str(Path(_place(state)) / Path.cwd().resolve().relative_to(state.workspace))
    except (ValueError, OSError):
        return _place(state)


def _run(home: Home, calls: ContainerCalls, wanted: Container, environment: Mapping[str, str]) -> int:
    container = AgentContainer.named(calls)
    tty = attach.is_terminal()
    with reaping(home, container.name):
        try:
            container.create(wanted, wanted.image, tty=tty, environment=environment)
            return _attached(container, tty=tty)
        except BrokenPipeError:
            return _UNREAD
        finally:
            container.remove()


def _attached(container: AgentContainer, *, tty: bool) -> int:
    with ExitStack() as stack:
        stream = stack.enter_context(container.attach())
        stack.enter_context(attach.passing_signals(container.signal))
        if tty:
            stack.enter_context(attach.raw_terminal())
        container.start()
        if tty:
            stack.enter_context(attach.following_size(container.resize))
        attach.relay(stream, multiplexed=not tty)
        return container.wait()
