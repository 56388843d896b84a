"""Longer texts about requests, rows and plugins, as styled content. Agent text is printable, never markup.

Styles are theme variables (`$error` and the like), so that dark and light themes both fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from textual.content import Content

from plugins.base.control import Effect, Update
from plugins.base.text import command_line, printable
from supervisor.audit.reader import AuditRow
from supervisor.policies.replay import Difference
from supervisor.status import PluginStatus, Request
from tui import format as told
from tui.format import Tone

_STYLE: dict[Tone, str] = {
    "plain": "", "muted": "$foreground 60%", "strong": "bold", "good": "$text-success",
    "warn": "$text-warning", "bad": "$text-error", "accent": "$text-accent",
}  # fmt: skip
_EFFECT: dict[Effect, Tone] = {
    Effect.NEW: "plain", Effect.DELETES: "bad", Effect.FAST_FORWARD: "good", Effect.REWRITES: "bad",
    Effect.UNKNOWN: "bad",
}  # fmt: skip
_LONGEST = 5_000  # lines of details that are shown
_WIDEST = 2_000  # characters of one line
_ZEROS = "0" * 8


def styled(text: str, tone: Tone) -> Content:
    """Content with the tone's style; the text is taken as it is, never as markup."""
    return Content.styled(text, _STYLE[tone])


def lines(parts: Iterable[Content]) -> Content:
    return Content("\n").join(list(parts))


def field(name: str, value: str, tone: Tone = "plain") -> Content:
    return Content.assemble(styled(f"{name:<11} ", "muted"), styled(printable(value)[:_WIDEST], tone))


def heading(text: str) -> Content:
    return styled(text, "strong")


def diff(text: str) -> Content:
    """Plain text with the lines of diffs in colour; each line printable."""
    given = text.splitlines()
    shown = [styled(printable(line.expandtabs(4))[:_WIDEST], _diff_tone(line)) for line in given[:_LONGEST]]
    if len(given) > _LONGEST:
        more = len(given) - _LONGEST
        shown.append(styled(f"… {more:,} more lines", "muted"))
    return lines(shown)


def consequences(looked_at: int, differences: Sequence[Difference]) -> Content:
    """What a text would have decided differently of what the agent did lately."""
    latest = told.count(looked_at, "command")
    if not differences:
        return styled(f"It would have decided none of the latest {latest} differently.", "muted")
    parts = [heading(f"Of the latest {latest} it would have decided these differently:")]
    for each in differences:
        verdict: tuple[str, Tone] = ("✓ let through", "good") if each.allowed else ("✖ blocked     ", "bad")
        times = f"  ({told.count(each.times, 'time')})" if each.times > 1 else ""
        parts.append(
            Content.assemble(
                styled(*verdict), f"  {told.event_text(each.event)[:_WIDEST]}", styled(times, "muted")
            )
        )
    return lines(parts)


def _diff_tone(line: str) -> Tone:
    if line.startswith(("+++", "---", "diff ", "index ")):
        return "muted"
    if line.startswith("@@"):
        return "accent"
    return "good" if line.startswith("+") else "bad" if line.startswith("-") else "plain"


def update_lines(updates: Iterable[Update]) -> Iterator[Content]:
    """For each ref: what it is now, what it would become, and whether commits would be lost."""
    for update in updates:
        effect = update.effect
        old = "(new)" if effect == Effect.NEW else update.old[:8]
        new = "(gone)" if effect == Effect.DELETES else update.new[:8]
        yield Content.assemble("  ", styled(printable(update.ref)[:_WIDEST], "strong"))
        yield Content.assemble(f"    {printable(old)}..{printable(new)}  ", styled(effect, _EFFECT[effect]))


def request_text(request: Request, now: float) -> Content:
    """Everything there is to know before saying yes or no."""
    parts = [
        Content.assemble(
            styled(*told.request_state(request)), "  ", styled(f"request {printable(request.id)}", "muted"),
            "  ", styled(_waiting(request, now), "warn"),
        ),
        styled(command_line(request.plugin, request.args)[:_WIDEST], "strong"),
        Content(),
        *_reasons(request.plugin, request.reasons),
    ]  # fmt: skip
    if request.remote:
        parts += [Content(), field("remote", request.remote)]
    if request.updates:
        parts += [heading("ref updates"), *update_lines(request.updates)]
    parts.append(Content())
    parts += [field("in", request.cwd)] if request.cwd else []
    parts += [field("caller", request.caller)] if request.caller else []
    parts.append(field("tried", f"{told.count(request.count, 'time')}, first {told.moment(request.first)}"))
    parts += _answer(request)
    if request.details:
        parts += [Content(), diff(request.details)]
    return lines(parts)


def _waiting(request: Request, now: float) -> str:
    if request.state != "open":
        return ""
    if not request.waiting:
        return "nobody waits; a yes lets its retry pass"
    left = told.countdown(request.deadline, now)
    return f"{told.count(request.waiting, 'command')} waiting" + (f", {left} left" if left else "")


def _reasons(plugin: str, reasons: Iterable[tuple[str, int | None, str]]) -> Iterator[Content]:
    for rule, line, message in reasons:
        where = f"{plugin}.yaml:{line}" if line else f"{plugin}.yaml"
        yield Content.assemble(
            styled("✖ ", "bad"), printable(message)[:_WIDEST],
            styled(f"  ({printable(rule)}, {printable(where)})", "muted"),
        )  # fmt: skip


def _answer(request: Request) -> list[Content]:
    if request.answered is None:
        return []
    parts = [field("answered", f"{request.state}, {told.moment(request.answered)}")]
    if request.grant_until:
        parts.append(field("good until", told.moment(request.grant_until)))
    if request.answer_reason:
        parts.append(field("because", request.answer_reason))
    return parts


def row_text(row: AuditRow) -> Content:
    """Everything recorded about one decision."""
    event = row.event
    parts = [
        Content.assemble(
            styled(*told.verdict(event)),
            styled(f"  row {row.seq}, {told.moment(event.time)}", "muted"),
        ),
        styled(told.event_text(event)[:_WIDEST], "strong"),
        Content(),
    ]
    rule = f"{event.rule} (line {event.rule_line})" if event.rule_line else event.rule
    exit_code = "" if row.exit_code is None else str(row.exit_code)
    duration = "" if row.duration_ms is None else told.milliseconds(row.duration_ms)
    fields = {
        "plugin": event.plugin, "layer": event.layer, "rule": rule,
        "reason": event.reason if event.args else "",
        "in": event.cwd, "remote": event.remote, "caller": event.caller, "request": event.request,
        "exit code": exit_code, "took": duration, "policy": event.policy[:12],
        "command id": event.command, "event id": event.id,
    }  # fmt: skip
    parts += [field(name, value) for name, value in fields.items() if value]
    if event.updates:
        parts += [Content(), heading("ref updates"), *update_lines(event.updates)]
    return lines(parts)


def plugin_text(plugin: PluginStatus, now: float) -> Content:
    """Everything the supervisor knows about one plugin."""
    running = plugin.state == "running"
    parts = [
        field("state", *told.plugin_state(plugin)),
        field("why", plugin.reason) if plugin.reason else None,
        field("policy", *told.policy_state(plugin)),
        field("isolation", *told.isolation(plugin.isolation, running=running)),
        *(field("", f"missing: {thing}", "warn") for thing in plugin.isolation.missing),
        field("tool", plugin.tool or "not known yet"),
        field("process", f"pid {plugin.pid}" if plugin.pid else "none"),
        field("up", told.age(now - plugin.started)) if running and plugin.started else None,
        field("restarts", str(plugin.restarts)),
        field("commands", f"{plugin.commands:,} in all, {plugin.running} running, {plugin.waiting} waiting"),
        field("blocked", f"{plugin.blocked:,}"),
        field("overhead", f"p50 {told.milliseconds(plugin.p50_ms)}, p95 {told.milliseconds(plugin.p95_ms)}"),
        field("events", f"{plugin.spooled:,} not stored yet") if plugin.spooled else None,
        field("use", f"CPU {told.percent(plugin.cpu_percent)}, memory {told.memory(plugin.memory_bytes)}"),
    ]
    kept = [part for part in parts if part is not None]
    if plugin.policy.problems:
        kept += [Content(), heading("problems of the policy file"), *_problems(plugin)]
    return lines(kept)


def _problems(plugin: PluginStatus) -> Iterator[Content]:
    for problem in plugin.policy.problems:
        yield styled(f"✖ {printable(problem)[:_WIDEST]}", "bad")
