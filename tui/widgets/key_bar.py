"""The keys on the bottom line: as Textual's footer, but not drawn anew at every change of focus."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

_Key = tuple[Binding, bool, str]  # whether it can be used now; its tooltip


class KeyBar(Footer):
    """Comes after the first paint, and again when other keys count."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._drawn: list[_Key] = []
        self._waits = False

    def compose(self) -> ComposeResult:
        self._waits = False
        for binding, enabled, tooltip in self._drawn:
            key = FooterKey(
                binding.key, self.app.get_key_display(binding), binding.description, binding.action,
                disabled=not enabled, tooltip=tooltip,
            )  # fmt: skip
            key.set_reactive(FooterKey.compact, False)
            yield key

    def bindings_changed(self, screen: Screen[object]) -> None:
        if not (screen.app.app_focus and self.is_attached and screen is self.screen):
            return
        keys = _shown(screen)
        if keys == self._drawn:
            return
        self._drawn = keys
        if not self._waits:
            self._waits = True
            self.call_after_refresh(self.recompose)


def _shown(screen: Screen[object]) -> list[_Key]:
    by_action: dict[str, _Key] = {}
    for _, binding, enabled, tooltip in screen.active_bindings.values():
        if binding.show:
            by_action.setdefault(binding.action, (binding, enabled, tooltip))
    return list(by_action.values())
