"""policy check|explain|diff|replay|history|rollback: the rules, and what they would do."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from cli.explain import explain, parse_file
from cli.output import clock, echo_diff, emit, examples, json_option, table
from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import PolicyError, decode_policy
from supervisor.home import Home
from supervisor.policies.consequences import LATEST, consequences
from supervisor.policies.replay import Difference
from supervisor.policies.store import PolicyStore

pass_home = click.make_pass_decorator(Home)


@click.group()
def policy() -> None:
    """Check, explain, compare and roll back policies."""


policy.add_command(explain)


@policy.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@json_option
@pass_home
def check(home: Home, files: tuple[Path, ...], as_json: bool) -> int:
    """Check policy files (by default, all of the home's): every problem, with its line.

    Exits 1 when there is one.
    """
    checked = [(path, _problems(path)) for path in files or sorted(home.config.glob("*.yaml"))]
    if as_json:
        emit([{"file": str(path), "problems": problems} for path, problems in checked])
    else:
        for path, problems in checked:
            click.echo("\n".join(problems) if problems else f"{path}: fine")
    return 1 if any(problems for _, problems in checked) else 0


def _problems(path: Path) -> list[str]:
    try:
        parse_file(path)
    except PolicyError as error:
        return [str(problem) for problem in error.problems]
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    return []


@policy.command()
@click.argument("name", default="git")
@pass_home
def diff(home: Home, name: str) -> None:
    """Show how the file differs from the last good policy."""
    store = PolicyStore(home)
    old, new = store.last_good(name) or "", store.read(name).text
    echo_diff(old, new, "last good policy", f"{name}.yaml")


@policy.command(epilog=examples("policy replay", "policy replay ~/stricter/git.yaml"))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--last", type=click.IntRange(1, 1_000_000), default=LATEST, help="Of so many audit rows.")
@json_option
@pass_home
def replay(home: Home, file: Path | None, last: int, as_json: bool) -> None:
    """Say which recorded commands FILE would have decided differently from the policy in force.

    FILE is named after its tool (git.yaml); by default it is the home's own file for git.
    """
    path = file or home.policy_file("git")
    found = consequences(home, path.stem, _text(path), last)
    if as_json:
        emit({"looked_at": found.looked_at, "differences": list(map(_difference, found.differences))})
        return
    table(
        ("WOULD BE", "TIMES", "COMMAND"),
        [
            (_would_be(each), each.times, shlex.join([path.stem, *each.event.args]))
            for each in found.differences
        ],
        empty=f"None of the {found.looked_at} latest commands would have been decided differently.",
    )


def _text(path: Path) -> str:
    try:
        return decode_policy(path.read_bytes(), file=path.name)
    except OSError as error:
        raise ClaudeContainerError(
            f"{path} cannot be read: {error.strerror}.", hint="Name a policy file, such as git.yaml."
        ) from error


def _would_be(difference: Difference) -> str:
    return "allowed" if difference.allowed else "blocked"


def _difference(difference: Difference) -> dict[str, object]:
    return {
        "verdict": _would_be(difference), "times": difference.times, "args": difference.event.args,
        "latest": difference.event.time,
    }  # fmt: skip


@policy.command()
@click.argument("name", default="git")
@json_option
@pass_home
def history(home: Home, name: str, as_json: bool) -> None:
    """List the policies that were in force, newest first."""
    entries = PolicyStore(home).history(name)
    if as_json:
        emit([{"hash": entry.hash, "time": entry.time, "who": entry.who} for entry in entries])
    else:
        table(
            ("HASH", "SINCE", "BY"), [(entry.hash[:12], clock(entry.time), entry.who) for entry in entries],
            empty=f"No policy of {name} has been in force yet.",
        )  # fmt: skip


@policy.command()
@click.argument("name")
@click.argument("hash_prefix")
@pass_home
def rollback(home: Home, name: str, hash_prefix: str) -> None:
    """Put an earlier policy (see history) back into the file."""
    saved = PolicyStore(home).rollback(name, hash_prefix)
    click.echo(f"{home.policy_file(name)} is again {saved[:12]}.")
