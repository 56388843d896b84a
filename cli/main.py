"""The `claude-container` command: its options, its groups, and the one boundary for errors.

Exit codes: 0 fine; 1 a problem of the user's world, in one line on stderr; 2 usage; 130 interrupted.
Each subcommand's module is imported when it is called, so that the others cost nothing.
"""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module

import click

from cli.output import examples
from plugins.base.errors import ClaudeContainerError
from supervisor.home import Home

# name -> (module, attribute, short help)
_COMMANDS = {
    "init": ("cli.lifecycle", "init", "Set up the home: wrappers, default policies."),
    "build": ("cli.build", "build", "Build the images of plugins and agent."),
    "start": ("cli.lifecycle", "start", "Start the supervisor and its plugins."),
    "stop": ("cli.lifecycle", "stop", "Stop the supervisor and its plugins."),
    "status": ("cli.lifecycle", "status", "Show the state of every plugin."),
    "logs": ("cli.lifecycle", "logs", "Show a plugin's log."),
    "env": ("cli.lifecycle", "env", "Print shell exports for using the wrappers on this host."),
    "run": ("cli.run", "run", "Run the agent, or a command, in its container."),
    "lockdown": ("cli.lifecycle", "lockdown", "Refuse every command, until lifted."),
    "tui": ("cli.lifecycle", "tui", "Open the dashboard, cc-tui."),
    "plugin": ("cli.plugin", "plugin", "List, add, remove, restart plugins."),
    "policy": ("cli.policy", "policy", "Check, explain, compare and roll back policies."),
    "audit": ("cli.audit", "audit", "Read, export and verify the audit log."),
    "approvals": ("cli.approvals", "approvals", "List, approve and deny what waits for an answer."),
    "credentials": ("cli.credentials", "credentials", "Show credentials, and hand over new ones."),
    "doctor": ("cli.doctor", "doctor", "Look for problems, and say how to fix each."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are needed; help comes from the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = get_close_matches(args[0], _COMMANDS, n=1)
        if args[0] not in _COMMANDS and near and not args[0].startswith("-"):
            ctx.fail(f"There is no command {args[0]!r}; did you mean {near[0]}?")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{attribute} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


_EPILOG = examples(
    "start --workspace ~/project",
    "approvals approve k7m2p9qd --minutes 30",
    "policy explain git push origin main",
    "audit list --blocked --search main",
    after=("Exit status: 0 fine, 1 a problem (said on stderr), 2 wrong usage, 130 interrupted.",
           "Completion:  eval \"$(_CLAUDE_CONTAINER_COMPLETE=bash_source claude-container)\""),
)  # fmt: skip


@click.group(cls=_LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", metavar="DIR", help="The home; else $CLAUDE_HOME, else ~/.claude-container.")
@click.version_option(package_name="claude-container", prog_name="claude-container")
@click.pass_context
def group(ctx: click.Context, home: str | None) -> None:
    """Let an AI coding agent work on your repository, under your rules."""
    ctx.obj = Home.find(home)


def main() -> None:
    """Run the command line; the only place where errors become text and exit codes."""
    sys.exit(_run())


def _run() -> int:
    try:
        result = group.main(standalone_mode=False)
        sys.stdout.flush()
    except ClaudeContainerError as error:
        return _complain(error.message, error.hint)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "claude-container"
        _complain(error.format_message(), f"See: {command} --help")
        return 2
    except click.ClickException as error:
        return _complain(error.format_message(), "")
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        _drop_stdout()
        return 0
    return result if isinstance(result, int) else 0


def _complain(message: str, hint: str) -> int:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    return 1


def _drop_stdout() -> None:
    """Point stdout at nothing: the reader is gone, and the interpreter would complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
