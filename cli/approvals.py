"""approvals list|show|approve|deny|undo|watch: the operator's answers, from a shell."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

import click

from cli.connection import ask
from cli.output import age, clock, echo_diff, emit, examples, json_option, short, table, update_line
from plugins.base.text import command_line, printable
from supervisor.api.client import Client
from supervisor.home import Home
from supervisor.status import Request

pass_home = click.make_pass_decorator(Home)

_OPEN = ("open", "granted")


@click.group()
def approvals() -> None:
    """List, approve and deny what waits for an answer."""


@approvals.command("list")
@click.option("--all", "everything", is_flag=True, help="Answered and expired ones too.")
@json_option
@pass_home
def list_requests(home: Home, everything: bool, as_json: bool) -> None:
    """List the requests that wait for an answer."""
    requests = ask(home, lambda client: client.requests())
    shown = [request for request in requests if everything or request.state in _OPEN]
    if as_json:
        emit(shown)
        return
    table(
        ("ID", "STATE", "SINCE", "TRIES", "COMMAND", "BLOCKED BY"),
        [_row(request) for request in shown],
        empty="Nothing waits for an answer.",
    )


def _row(request: Request) -> tuple[object, ...]:
    state = "waiting" if request.waiting else request.state
    rules = ", ".join(dict.fromkeys(rule for rule, _, _ in request.reasons))
    return (
        request.id, state, age(time.time() - request.first), request.count, _command(request, 50), rules,
    )  # fmt: skip


def _command(request: Request, width: int) -> str:
    return short(command_line(request.plugin, request.args), width)


@approvals.command()
@click.argument("request_id")
@json_option
@pass_home
def show(home: Home, request_id: str, as_json: bool) -> None:
    """Show what the request would do: refs, commits, changes."""
    request = ask(home, lambda client: client.request(request_id))
    if as_json:
        emit(request)
    else:
        _print_request(request)


def _print_request(request: Request) -> None:
    click.echo(f"{request.id}  {request.state}  {_command(request, 200)}")
    where = f"in {printable(request.cwd)}, " if request.cwd else ""
    times = "once" if request.count == 1 else f"{request.count} times"
    click.echo(f"{where}tried {times}, first at {clock(request.first)}")
    for rule, line, message in request.reasons:
        where = f" (line {line})" if line else ""
        click.echo(f"blocked by {rule}{where}: {printable(message)}")
    if request.remote:
        click.echo(f"remote {printable(request.remote)}")
    for update in request.updates:
        click.echo(f"  {update_line(update)}")
    for detail in request.details.splitlines():
        click.echo(printable(detail.replace("\t", "        ")))


@approvals.command(
    epilog=examples(
        "approvals approve k7m2p9qd",
        "approvals approve k7m2p9qd --minutes 30",
        "approvals approve k7m2p9qd --always",
    )
)
@click.argument("request_id")
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="For every repeat within this time."
)
@click.option("--always", is_flag=True, help="Change the policy, so that it always allows this.")
@click.option("--yes", is_flag=True, help="With --always: save the change without asking.")
@pass_home
def approve(home: Home, request_id: str, minutes: float | None, always: bool, yes: bool) -> None:
    """Let exactly this operation through, once (or for --minutes, or --always)."""
    if always and minutes:
        raise click.UsageError("Give either --minutes or --always.")
    if yes and not always:
        raise click.UsageError("--yes goes with --always.")
    if always:
        _approve_always(home, request_id, yes)
        return
    mode: Literal["once", "time"] = "time" if minutes else "once"
    request = ask(home, lambda client: client.approve(request_id, mode, minutes))
    if request.state == "granted":
        click.echo(f"Approved {request.id}: the next try passes, until {clock(request.grant_until)}.")
    else:
        click.echo(f"Approved {request.id}: the waiting command goes on.")


def _approve_always(home: Home, request_id: str, yes: bool) -> None:
    """Show how the policy would change, ask, and save it."""
    from supervisor.policies.store import PolicyStore

    request = ask(home, lambda client: client.request(request_id))
    edit = PolicyStore(home).always(request)
    echo_diff(edit.old, edit.new, edit.path.name, f"{edit.path.name}, changed")
    if not yes:
        click.confirm(f"Save this, and approve {request.id}?", abort=True, err=True)
    ask(home, lambda client: client.approve_always(request.id, edit.new, edit.base))
    click.echo(f"Saved {edit.path}. Approved {request.id}.")


@approvals.command(epilog=examples("approvals deny k7m2p9qd 'Open a pull request instead.'"))
@click.argument("request_id")
@click.argument("reason", default="")
@pass_home
def deny(home: Home, request_id: str, reason: str) -> None:
    """Say no; the agent gets to read REASON."""
    request = ask(home, lambda client: client.deny(request_id, reason))
    click.echo(f"Denied {request.id}.")


@approvals.command()
@click.argument("request_id")
@pass_home
def undo(home: Home, request_id: str) -> None:
    """Put back the branches that an approved push rewrote or deleted."""
    refs = ask(home, lambda client: client.undo(request_id))
    click.echo(f"Put back: {', '.join(map(printable, refs))}.")


@approvals.command()
@pass_home
def watch(home: Home) -> None:
    """Attach as an operator: print each new request, while blocked commands wait for an answer."""
    asyncio.run(_watch(home))


async def _watch(home: Home) -> None:
    client = await Client.connect(home, operator=True)
    click.echo("Attached: blocked commands now wait for an answer. Ctrl-C detaches.", err=True)
    seen: set[str] = set()
    try:
        _print_new(await client.requests(), seen)
        async for notification in client.notifications():
            if notification.topic == "requests":
                _print_new(await client.requests(), seen)
    finally:
        await client.close()


def _print_new(requests: list[Request], seen: set[str]) -> None:
    for request in requests:
        if request.state == "open" and request.id not in seen:
            seen.add(request.id)
            click.echo(f"{clock(request.last)}  {request.id}  {_command(request, 100)}")
