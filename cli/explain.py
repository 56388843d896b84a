"""policy explain: what a policy makes of a command, or of a connection, without running it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from cli.connection import ask_if_running
from cli.output import emit, examples, json_option
from plugins.base.control import StartConfig
from plugins.base.egress.connections import connection
from plugins.base.errors import ClaudeContainerError
from plugins.base.explain import explain as explain_lines
from plugins.base.model import Operation
from plugins.base.plugin import Captured, Invocation
from plugins.base.policy import Policy, decode_policy, parse_policy
from plugins.base.policy.hosts import HTTPS, parse_target
from plugins.base.registry import plugin_class
from supervisor.home import Home

_PORT: Final = re.compile(r":[0-9]+$")
pass_home = click.make_pass_decorator(Home)


def parse_file(path: Path) -> Policy:
    text = decode_policy(path.read_bytes(), file=path.name)
    model = plugin_class(path.stem).rules_model
    return parse_policy(text, file=path.name, rules_model=model, plugin=path.stem)


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=examples(
        "policy explain git push origin main",
        "policy explain --cwd ~/project git push --force",
        "policy explain --connect npm registry.npmjs.org",
        "policy explain claude pypi.org",
    ),
)
@click.option(
    "--cwd", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path(), help="Where."
)
@click.option("--connect", is_flag=True, help="COMMAND is a tool, and a host that it connects to.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@json_option
@pass_home
def explain(home: Home, cwd: Path, connect: bool, command: tuple[str, ...], as_json: bool) -> int:
    """Say what the policy makes of COMMAND (for example: git push origin main) without running it.

    Of the agent itself (claude) only where it connects to is judged. Exits 1 when it would be refused.
    """
    tool, *words = command
    path = home.policy_file(tool)
    if not path.exists():
        raise ClaudeContainerError(
            f"No plugin rules {tool!r}.", hint=f"Add one with: claude-container plugin add {tool}"
        )
    rules = parse_file(path)
    if connect or not rules.rules.commands:
        operation: Operation = connection(tool, _target(words))
    else:
        operation = _operation(home, tool, tuple(words), cwd.absolute(), rules)
    decision = plugin_class(tool).decide(rules, operation)
    if as_json:
        reasons = [asdict(reason) for reason in decision.reasons]
        emit({"allowed": decision.allowed, "approvable": decision.approvable, "reasons": reasons})
    else:
        click.echo("\n".join(explain_lines(rules, operation, decision)))
    return 0 if decision.allowed else 1


def _target(words: list[str]) -> str:
    """The host as a connection has it; 443 is the port that nobody writes. Raises `ClaudeContainerError`."""
    words = words[1:] if words[:1] == ["connect"] else words
    try:
        (host,) = words
        return str(parse_target(host if _PORT.search(host) else f"{host}:{HTTPS}"))
    except ValueError:
        raise ClaudeContainerError(
            "It takes one host that is connected to.",
            hint="Write it as pypi.org, or with a port: pypi.org:443",
        ) from None


def _operation(home: Home, tool: str, argv: tuple[str, ...], cwd: Path, rules: Policy) -> Operation:
    plugin = plugin_class(tool)(_what_if(home, tool, cwd))
    invocation = Invocation(argv, str(cwd), {}, "explain")
    return asyncio.run(plugin.inspect(invocation, rules, _run_here))


def _what_if(home: Home, tool: str, workspace: Path) -> StartConfig:
    """A start configuration for judging alone: nothing is started with it."""
    status = ask_if_running(home, lambda client: client.status())
    return StartConfig(
        plugin=tool, workspace=status.workspace if status else str(workspace),
        origin=status.origin if status else "",
        socket="", control="", token="", state="", client="", path="",
    )  # fmt: skip


async def _run_here(
    argv: tuple[str, ...], *, cwd: str, environment: Mapping[str, str] | None = None, stdin: bytes = b""
) -> Captured:
    """Run a look-up (such as `git config`) as the operator, outside any sandbox."""
    program = _beside_wrappers(argv[0])
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs meanwhile
        [program, *argv[1:]], cwd=cwd, input=stdin, capture_output=True, check=False,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    return Captured(done.returncode, done.stdout, done.stderr)


def _beside_wrappers(tool: str) -> str:
    """The tool itself, also where the wrappers come first on PATH: looking is no command of an agent."""
    wrapper_paths = [path for path in os.get_exec_path() if (Path(path) / "plugin-client").exists()]
    own = os.pathsep.join(path for path in os.get_exec_path() if path not in wrapper_paths)
    return shutil.which(tool, path=own) or tool
