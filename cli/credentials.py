"""credentials list|renew: what gateways may send where, and new values for it. Never shows a value."""

from __future__ import annotations

import click

from cli.connection import ask
from cli.output import emit, json_option, table
from plugins.base.errors import ClaudeContainerError
from supervisor.credentials import present, variables
from supervisor.gateways import own_gateway
from supervisor.home import Home
from supervisor.policies.store import PolicyStore

pass_home = click.make_pass_decorator(Home)


@click.group()
def credentials() -> None:
    """Show what credentials the policies name, and hand new values to the gateways."""


@credentials.command("list")
@json_option
@pass_home
def list_credentials(home: Home, as_json: bool) -> None:
    """List the credentials that the policies name, and the hosts that each may be sent to."""
    rows = list(_rows(PolicyStore(home)))
    if as_json:
        emit([{"plugin": plugin, "credential": name, "variable": variable, "hosts": hosts}
              for plugin, name, variable, hosts in rows])  # fmt: skip
        return
    table(
        ("PLUGIN", "CREDENTIAL", "FROM", "SENT TO"),
        [
            (plugin, name, f"${variable}", ", ".join(hosts) or "nowhere")
            for plugin, name, variable, hosts in rows
        ],
        empty="No policy names a credential.",
    )


def _rows(store: PolicyStore) -> list[tuple[str, str, str, list[str]]]:
    rows: list[tuple[str, str, str, list[str]]] = []
    for tool in store.names():
        policy = store.read(tool).policy
        if policy is not None and own_gateway(tool):
            rows += [
                (tool, name, variable, list(policy.credential_hosts.get(name, ())))
                for name, variable in policy.credentials.items()
            ]
    return rows


@credentials.command("renew")
@pass_home
def renew_command(home: Home) -> None:
    """Hand the values in this shell's environment to the running gateways."""
    taken = renew(home)
    if not taken:
        names = ", ".join(variables(PolicyStore(home)))
        raise ClaudeContainerError(
            "This shell has no value for a credential that a gateway uses.", hint=f"Export one of: {names}."
        )
    click.echo(f"Handed over: {', '.join(taken)}.")


def renew(home: Home) -> list[str]:
    """Hand over what this process's environment has. Returns the names that were taken over."""
    values = present(PolicyStore(home))
    return ask(home, lambda client: client.renew_credentials(values)) if values else []
