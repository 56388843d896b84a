"""What an attack is: a few lines of shell in the agent's workspace, and what they do to plain git."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attack:
    """`goal` is the harm that it does natively: see `Site.harm`.

    The script finds $ORIGIN, $OTHER (another repository on the same host), $BASE (the host), $EVIL (a
    server that asks for credentials), $W (the workspace), $PLANT (a program that pushes main from wherever
    it is started, then passes its input on) and $DEAF (the same, without reading its input).
    HEAD is claude/mine, one commit ahead of main.
    """

    name: str
    script: str
    goal: str = "moved"
    tries: int = 1  # natively: a race is not won every time
