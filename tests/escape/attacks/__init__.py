"""The table of attacks, a module for each family."""

from __future__ import annotations

from tests.escape.attack import Attack
from tests.escape.attacks import (
    aliases,
    environment,
    execution,
    history,
    processes,
    races,
    refspecs,
    remotes,
    secrets,
)

FAMILIES: dict[str, tuple[Attack, ...]] = {
    "refspecs": refspecs.ATTACKS,
    "aliases": aliases.ATTACKS,
    "execution": execution.ATTACKS,
    "environment": environment.ATTACKS,
    "remotes": remotes.ATTACKS,
    "secrets": secrets.ATTACKS,
    "history": history.ATTACKS,
    "races": races.ATTACKS,
    "processes": processes.ATTACKS,
}
