"""Numbers, times and states in words, the same on every screen.

State is told by a word and a symbol; colour (the tone) only repeats it. Text that came from the
agent leaves here printable and on one line.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from plugins.base.text import command_line, printable

if TYPE_CHECKING:
    from plugins.base.control import AuditEvent, Isolation
    from supervisor.status import PluginStatus, Request

Tone = Literal["plain", "muted", "strong", "good", "warn", "bad", "accent"]
Told = tuple[str, Tone]

_PLUGIN: dict[str, Told] = {
    "running": ("● running", "good"),
    "starting": ("◐ starting", "accent"),
    "stopping": ("◐ stopping", "accent"),
    "stopped": ("○ stopped", "muted"),
    "unhealthy": ("▲ unhealthy", "warn"),
    "backoff": ("↻ backoff", "warn"),
    "crash-loop": ("✖ crash-loop", "bad"),
}
_POLICY: dict[str, Told] = {
    "enforced": ("✓ enforced", "good"),
    "stale": ("… stale", "warn"),
    "invalid": ("✖ invalid", "bad"),
    "missing": ("✖ missing", "bad"),
}
_VERDICT: dict[str, Told] = {
    "allowed": ("✓ allowed", "good"),
    "approved": ("✓ approved", "good"),
    "blocked": ("✖ blocked", "bad"),
    "denied": ("✖ denied", "bad"),
    "held": ("◷ held", "warn"),
    "expired": ("◷ expired", "muted"),
    "error": ("! error", "bad"),
    "info": ("· info", "muted"),
}
_REQUEST: dict[str, Told] = {
    "open": ("? open", "warn"),
    "granted": ("✓ granted", "good"),
    "used": ("✓ used", "muted"),
    "denied": ("✖ denied", "bad"),
    "expired": ("◷ expired", "muted"),
}


def plugin_state(plugin: PluginStatus) -> Told:
    return _PLUGIN[plugin.state]


def policy_state(plugin: PluginStatus) -> Told:
    return _POLICY[plugin.policy.state]


def isolation(found: Isolation, *, running: bool) -> Told:
    if not running:
        return "–", "muted"
    return ("◐ partial", "warn") if found.missing else ("● full", "good")


def verdict(event: AuditEvent) -> Told:
    if event.verdict == "allowed" and event.rule:
        # A rule objects, but what git makes of the command decides: see the row of the next layer.
        return "→ deferred", "muted"
    return _VERDICT.get(event.verdict, (printable(event.verdict), "plain"))


def request_state(request: Request) -> Told:
    return ("◷ waiting", "warn") if request.state == "open" and request.waiting else _REQUEST[request.state]


def event_text(event: AuditEvent) -> str:
    """What an audit row is about: the command, or (for a start, a crash, ...) its sentence."""
    if event.args:
        return command_line(event.plugin, event.args)
    return printable(event.sentence)


def clock(seconds: float | None) -> str:
    return "–" if seconds is None else time.strftime("%H:%M:%S", time.localtime(seconds))


def date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


def moment(seconds: float | None) -> str:
    return "–" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def age(seconds: float) -> str:
    """A duration in its largest fitting unit: 12s, 5m, 3h, 2d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def countdown(deadline: float | None, now: float) -> str:
    """The time left as 1:59; empty when nothing waits."""
    if deadline is None:
        return ""
    left = max(0, int(deadline - now))
    return f"{left // 60}:{left % 60:02}"


def milliseconds(value: float) -> str:
    """At most six characters up to a day: 0.8 ms, 31 ms, 1.5 s, 90 s."""
    if value >= 1000:
        return f"{value / 1000:.1f} s" if value < 10_000 else f"{value / 1000:.0f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def memory(value: int | None) -> str:
    return "–" if value is None else f"{value / 1e6:.0f} MB"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} %"


def short_number(number: int) -> str:
    """At most six characters: 9,999, 12k, 3.4M."""
    if number < 10_000:
        return f"{number:,}"
    return f"{number // 1000}k" if number < 1_000_000 else f"{number / 1e6:.1f}M"


def count(number: int, singular: str, plural: str = "") -> str:
    """`3 requests`, `1 request`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
