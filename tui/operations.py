"""What the operator does, from question to outcome; the same flow wherever its key is pressed.

Each is a coroutine for a worker. The question names the consequence before anything happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.base.errors import ClaudeContainerError
from plugins.base.text import command_line, printable
from tui.format import count
from tui.screens.dialogs import AskLine, Choice, Question, confirmation

if TYPE_CHECKING:
    from supervisor.policies.store import PolicyEdit
    from supervisor.status import PluginStatus, Request
    from tui.screens.base import DeskScreen

_MINUTES = 30


async def approve(screen: DeskScreen, request: Request) -> None:
    if request.state != "open":
        screen.notify(f"This request is {request.state} already.", severity="warning", markup=False)
        return
    edit = await _always(screen, request)
    answer = await screen.app.push_screen_wait(_approval(request, edit))
    if answer == "always" and edit is not None:
        await _approve_always(screen, request, edit)
    elif answer == "once":
        await screen.attempt(screen.backend.approve(request.id, "once"), f"Approved once: {_what(request)}")
    elif answer == "time":
        await _approve_for_some_time(screen, request)


async def _always(screen: DeskScreen, request: Request) -> PolicyEdit | None:
    """The change of the policy that an "always" means; None where there is none."""
    try:
        return await screen.backend.always(request.id)
    except ClaudeContainerError:
        return None


def _approval(request: Request, edit: PolicyEdit | None) -> Question:
    effect = "it runs now" if request.waiting else "its next try passes"
    updates = "".join(f"\n  {printable(update.ref[:120])}: {update.effect}" for update in request.updates[:5])
    always = (
        "change the policy; you see how before it is saved."
        if edit
        else "no change of a rule says just this."
    )
    return Question(
        "Approve?",
        f"{_what(request)}{updates}\n\nOnce: {effect}, for exactly this operation.\n"
        f"For a time: the same operation passes again and again until then.\nAlways: {always}",
        (
            Choice("no", "Cancel"), Choice("once", "Once"), Choice("time", "For a time …"),
            *((Choice("always", "Always …"),) if edit else ()),
        ),
    )  # fmt: skip


async def _approve_always(screen: DeskScreen, request: Request, edit: PolicyEdit) -> None:
    from tui.policy_buffer import changes
    from tui.prose import diff

    name = printable(edit.path.name)
    question = confirmation(
        f"Change {name}?",
        "Saved and enforced at once, for every command. Earlier versions stay in the history.",
        safe="Cancel", act="Save and approve", body=diff(changes(edit.old, edit.new, "enforced", "always")),
    )  # fmt: skip
    if await screen.app.push_screen_wait(question) == "yes":
        await screen.attempt(
            screen.backend.approve_always(request.id, edit), f"Saved {name}. Approved: {_what(request)}"
        )


async def _approve_for_some_time(screen: DeskScreen, request: Request) -> None:
    text = await screen.app.push_screen_wait(
        AskLine(
            "Approve for how many minutes?",
            f"{_what(request)}\nuntil then passes without asking.",
            act="approve",
            value=str(_MINUTES),
        )
    )
    if text is None:
        return
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= 24 * 60:
        screen.notify("Give minutes, more than 0 and at most 1440.", severity="error", markup=False)
        return
    await screen.attempt(
        screen.backend.approve(request.id, "time", minutes),
        f"Approved for {minutes:g} minutes: {_what(request)}",
    )


async def deny(screen: DeskScreen, request: Request) -> None:
    if request.state not in ("open", "granted"):
        screen.notify(f"This request is {request.state} already.", severity="warning", markup=False)
        return
    reason = await screen.app.push_screen_wait(
        AskLine(
            "Deny", _what(request), act="deny", placeholder="Why? The agent gets to read this (optional)."
        )
    )
    if reason is not None:
        await screen.attempt(screen.backend.deny(request.id, reason), f"Denied: {_what(request)}")


def _what(request: Request) -> str:
    line = command_line(request.plugin, request.args)
    return line if len(line) <= 200 else line[:199] + "…"


async def start_or_stop(screen: DeskScreen, plugin: PluginStatus) -> None:
    if not plugin.wanted:
        await screen.attempt(screen.backend.start_plugin(plugin.name), f"Started {plugin.name}.")
        return
    busy = f" {count(plugin.running, 'running command')} will be ended." if plugin.running else ""
    question = confirmation(
        f"Stop {plugin.name}?",
        f"The agent can no longer use {plugin.name} until you start it again.{busy}",
        safe="Keep it running", act=f"Stop {plugin.name}",
    )  # fmt: skip
    if await screen.app.push_screen_wait(question) == "yes":
        await screen.attempt(screen.backend.stop_plugin(plugin.name), f"Stopped {plugin.name}.")


async def restart(screen: DeskScreen, plugin: PluginStatus) -> None:
    if plugin.running:
        question = confirmation(
            f"Restart {plugin.name}?", f"{count(plugin.running, 'running command')} will be ended.",
            safe="Leave it", act="Restart",
        )  # fmt: skip
        if await screen.app.push_screen_wait(question) != "yes":
            return
    await screen.attempt(screen.backend.restart_plugin(plugin.name), f"Restarted {plugin.name}.")


async def lockdown(screen: DeskScreen) -> None:
    status = screen.desk.status
    if status is None:
        screen.notify("There is no supervisor to lock down.", severity="error", markup=False)
    elif status.lockdown is None:
        await _lock(screen)
    else:
        await _lift(screen)


async def _lock(screen: DeskScreen) -> None:
    message = await screen.app.push_screen_wait(
        AskLine(
            "Lockdown",
            "Every command of the agent, in every plugin, will be refused until you lift it.",
            act="go on",
            placeholder="What should the agent read?",
        )
    )
    if message is None:
        return
    question = confirmation(
        "Refuse everything?", f"The agent reads: {message or '(no message)'}", safe="Cancel", act="Lock down"
    )
    if await screen.app.push_screen_wait(question) == "yes":
        await screen.attempt(screen.backend.lockdown(True, message), "Locked down.")


async def _lift(screen: DeskScreen) -> None:
    question = confirmation(
        "Lift the lockdown?",
        "The agent can work again, by the rules.",
        safe="Stay locked down",
        act="Lift it",
    )
    if await screen.app.push_screen_wait(question) == "yes":
        await screen.attempt(screen.backend.lockdown(False, ""), "The lockdown is lifted.")


async def leave(screen: DeskScreen) -> None:
    """Quit, after a question when something would be lost or refused by it."""
    consequences = _consequences(screen)
    if consequences:
        question = confirmation("Quit?", "\n".join(consequences), safe="Stay", act="Quit")
        if await screen.app.push_screen_wait(question) != "yes":
            return
    screen.app.exit()


def _consequences(screen: DeskScreen) -> list[str]:
    from tui.screens.base import DeskScreen

    mode_screens = [stack[0] for stack in screen.app._screen_stacks.values() if stack]
    found = [other.unsaved for other in mode_screens if isinstance(other, DeskScreen) and other.unsaved]
    waiting = sum(request.waiting for request in screen.desk.open_requests)
    if screen.backend.embedded and waiting:
        what = "command waits" if waiting == 1 else "commands wait"
        found.append(
            f"The supervisor ends with this program: {waiting} {what} for your answer and will be refused."
        )
    return found
