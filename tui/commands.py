"""Every command once: its key, its name in the footer, its sentence in help and palette.

Key bindings, the help screen and the command palette are made from these, so that they agree.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from textual.binding import Binding, BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider


@dataclass(frozen=True, slots=True)
class Command:
    """Something the operator can do. `action` is an action of the screen, or of the app as `app.…`."""

    id: str
    key: str
    name: str  # one or two words, for the footer
    help: str  # one sentence, for help and palette
    action: str = ""
    shown: bool = True  # in the footer
    priority: bool = False  # also while text is being edited

    def binding(self) -> Binding:
        return Binding(
            self.key, self.action or self.id, self.name,
            show=self.shown, priority=self.priority, tooltip=self.help, id=self.id,
        )  # fmt: skip

    @property
    def key_text(self) -> str:
        """The key as people write it."""
        names = {"question_mark": "?", "slash": "/", "escape": "Esc", "enter": "Enter"}
        parts = self.key.split(",")[0].split("+")
        return "+".join(names.get(part, part.capitalize() if len(part) > 1 else part) for part in parts)


def bindings(commands: Iterable[Command]) -> list[BindingType]:
    return [command.binding() for command in commands]


def _go(number: int, name: str, what: str) -> Command:
    return Command(
        f"go_{name}", str(number), name.capitalize(), f"Go to {name.capitalize()}: {what}.",
        f"app.switch_mode('{name}')", shown=False,
    )  # fmt: skip


GLOBAL = (
    _go(1, "dashboard", "plugins, waiting requests, latest blocked"),
    _go(2, "approvals", "what waits for a yes or no, and what was answered"),
    _go(3, "audit", "every decision, searchable"),
    _go(4, "policy", "edit the rules, see what would change, roll back"),
    _go(5, "logs", "what supervisor and plugins write"),
    Command("lockdown", "L", "Lockdown", "Refuse every command of the agent; again to lift it."),
    Command("toggle_theme", "T", "Theme", "Switch between the dark and the light theme.", shown=False),
    Command("help", "question_mark", "Help", "Show what every key does here."),
    Command("leave", "q", "Quit", "Leave the dashboard."),
)

APPROVE = Command("approve", "a", "Approve", "Let the selected request through: once, for a time, or always.")
DENY = Command("deny", "d", "Deny", "Refuse the selected request, with a reason the agent gets to read.")

DASHBOARD = (
    APPROVE,
    DENY,
    Command("start_stop", "s", "Start/stop", "Stop the selected plugin, or start it when it is stopped."),
    Command("restart", "r", "Restart", "Restart the selected plugin."),
)

APPROVALS = (
    APPROVE,
    DENY,
    Command("read", "enter", "Read", "Read the details: commits, diffstat, diff.", shown=False),
)

AUDIT = (
    Command("search", "slash", "Search", "Show only rows that contain a text; Esc shows all again."),
    Command("show_verdicts('')", "0", "All", "Show every verdict.", shown=False),
    Command("show_verdicts('refused')", "b", "Blocked", "Show only what was not let through."),
    Command("show_verdicts('allowed')", "o", "Allowed", "Show only what was let through."),
    Command("export", "e", "Export", "Write the rows shown to a file, as JSON lines or CSV."),
    Command("clear", "escape", "Clear", "Drop search and filter.", shown=False),
)

POLICY = (
    Command("save", "ctrl+s", "Apply", "Save the policy; plugins enforce it a moment later.", priority=True),
    Command("changes", "ctrl+t", "Changes", "Show what the text changes, and would decide.", priority=True),
    Command("versions", "ctrl+l", "History", "List earlier policies and bring one back.", priority=True),
    Command("reload", "ctrl+r", "Reload", "Read the file from disk again.", priority=True),
    Command("leave_editor", "escape", "Leave editor", "Leave the editor, so that number keys work again."),
)

LOGS = (
    Command("next_log", "n", "Next log", "Show the next log file."),
    Command("follow", "f", "Follow", "Go to the end and follow what is written."),
)


def _shown(command: Command) -> str:
    return f"{command.name}  ({command.key_text})"


class Palette(Provider):
    """The screen's and the app's commands for the palette (Ctrl+P)."""

    def _commands(self) -> list[Command]:
        return [*getattr(self.screen, "COMMANDS_HERE", ()), *GLOBAL]

    async def discover(self) -> Hits:
        for command in self._commands():
            yield DiscoveryHit(_shown(command), self._runner(command), help=command.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self._commands():
            score = max(matcher.match(command.name), matcher.match(command.help))
            if score > 0:
                yield Hit(
                    score, matcher.highlight(_shown(command)), self._runner(command),
                    help=command.help,
                )  # fmt: skip

    def _runner(self, command: Command) -> Callable[[], Awaitable[None]]:
        here = command not in GLOBAL
        action = command.action or command.id

        async def run() -> None:
            await self.app.run_action(action, default_namespace=self.screen if here else self.app)

        return run
