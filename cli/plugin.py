"""plugin list|add|remove|restart|start|stop: tools under policy."""

from __future__ import annotations

from pathlib import Path

import click

from cli.connection import ask, ask_if_running
from cli.output import emit, examples, json_option, table
from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import parse_policy
from plugins.base.registry import plugin_class
from supervisor.api.client import Client
from supervisor.assets import shipped_policy
from supervisor.files import replace_file
from supervisor.gateways import serves
from supervisor.home import Home
from supervisor.runtimes.runtime import NotBuilt
from supervisor.status import PluginStatus
from supervisor.wrappers import check_tool_name, remove_wrapper

pass_home = click.make_pass_decorator(Home)

_TEMPLATE = """\
plugin: {name}
version: 1
rules:
  blocked_subcommands: [{blocked}]
"""


@click.group()
def plugin() -> None:
    """List, add, remove, start, stop and restart plugins."""


@plugin.command("list")
@json_option
@pass_home
def list_plugins(home: Home, as_json: bool) -> None:
    """List the plugins; without a supervisor, the configured ones."""
    state = ask_if_running(home, lambda client: client.status())
    if state is None:
        names = sorted(file.stem for file in home.config.glob("*.yaml"))
        rows: list[tuple[object, ...]] = [(name, "stopped", "-") for name in names]
        models: list[object] = [{"name": name, "state": "stopped"} for name in names]
    else:
        rows = [(entry.name, entry.state, entry.policy.state) for entry in state.plugins]
        models = list(state.plugins)
    if as_json:
        emit(models)
    else:
        table(
            ("PLUGIN", "STATE", "POLICY"), rows,
            empty="No plugins; add one with: claude-container plugin add NAME",
        )  # fmt: skip


@plugin.command(
    epilog=examples("plugin add npm", "plugin add make --block deploy", "plugin add gh --file gh.yaml")
)
@click.argument("name")
@click.option(
    "--file", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its policy."
)
@click.option("--block", multiple=True, metavar="SUBCOMMAND", help="A subcommand to block; may be repeated.")
@pass_home
def add(home: Home, name: str, file: Path | None, block: tuple[str, ...]) -> None:
    """Put the tool NAME under policy: from --file, else the shipped example, else one that blocks --block."""
    _check_name(name)
    if home.policy_file(name).exists():
        raise ClaudeContainerError(
            f"There is a plugin {name!r} already: {home.policy_file(name)}.",
            hint=f"Edit that file, or first run: claude-container plugin remove {name}",
        )
    text = _policy_text(name, file, block)
    parse_policy(text, file=f"{name}.yaml", rules_model=plugin_class(name).rules_model, plugin=name)
    if not serves(name):
        _write(home, name, text)
        click.echo(f"Added {home.policy_file(name)}: agents that are started from now on have this network.")
        return
    status = _added(home, name, text)
    if status is None:
        _write(home, name, text)
        click.echo(f"Added {home.policy_file(name)}; the plugin starts with: claude-container start")
    else:
        _report(status)


def _check_name(name: str) -> None:
    """The agent's own policy has a name that no tool can have. Raises `ClaudeContainerError`."""
    if serves(name):
        check_tool_name(name)


def _write(home: Home, name: str, text: str) -> None:
    home.create()
    replace_file(home.policy_file(name), text.encode())


def _added(home: Home, name: str, text: str) -> PluginStatus | None:
    """Add it, and build its image first when the supervisor lacks that; None when no supervisor runs."""
    try:
        return ask_if_running(home, lambda client: client.add_plugin(name, text))
    except NotBuilt:
        _build(home, name)
    return ask_if_running(home, lambda client: client.add_plugin(name, text))


def _build(home: Home, name: str) -> None:
    from cli.build import build_missing, opened_images  # brings the SDK, which is seldom needed here

    with opened_images(home) as (_, images):
        build_missing(images, [name])


def _policy_text(name: str, file: Path | None, block: tuple[str, ...]) -> str:
    if file is not None:
        return file.read_text(encoding="utf-8")
    shipped = shipped_policy(name)
    if shipped is not None and not block:
        return shipped.read_text(encoding="utf-8")
    return _TEMPLATE.format(name=name, blocked=", ".join(f'"{words}"' for words in block))


@plugin.command()
@click.argument("name")
@pass_home
def remove(home: Home, name: str) -> None:
    """Take the plugin NAME away: it stops, its wrapper and its policy file go."""
    _check_name(name)
    path = home.policy_file(name)
    if not path.exists():
        raise ClaudeContainerError(f"There is no plugin {name!r}.", hint="See: claude-container plugin list")

    async def removal(client: Client) -> bool:
        await client.remove_plugin(name)
        return True

    if not serves(name):
        path.unlink()  # which the supervisor sees
    elif ask_if_running(home, removal) is None:
        path.unlink()
        remove_wrapper(home, name)
    click.echo(f"Removed {name}. Its policies stay in: claude-container policy history {name}")


def _lifecycle(verb: str, text: str) -> click.Command:
    @click.command(verb, help=text)
    @click.argument("name")
    @pass_home
    def command(home: Home, name: str) -> None:
        _report(ask(home, lambda client: getattr(client, f"{verb}_plugin")(name)))

    return command


for _verb, _text in (
    ("start", "Start the plugin NAME."),
    ("stop", "Stop the plugin NAME, until it is started again."),
    ("restart", "Restart the plugin NAME."),
):
    plugin.add_command(_lifecycle(_verb, _text))


def _report(status: PluginStatus) -> None:
    reason = f": {status.reason}" if status.reason else ""
    click.echo(f"{status.name} is {status.state}{reason}")
