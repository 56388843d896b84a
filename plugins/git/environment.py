"""The environment of git: what of the caller's reaches it, and what is ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from plugins.git.commandline import GitCommand
from plugins.git.commandline.subcommands import NO_VERIFY
from plugins.git.private import PrivateFiles

# They choose programs, configuration or transports in place of ours; nothing that works today needs them.
_NEVER = frozenset(
    {
        "GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_PROXY_COMMAND", "GIT_ASKPASS",
        "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_ALLOW_PROTOCOL",
        "GIT_PROTOCOL_FROM_USER", "GIT_TERMINAL_PROMPT",
    }
)  # fmt: skip
_EDITORS = {"GIT_EDITOR": "editor", "GIT_SEQUENCE_EDITOR": "sequence-editor", "GIT_PAGER": "pager"}
_SAVED = {
    "GIT_EDITOR": "CLAUDE_CONTAINER_EDITOR",
    "GIT_SEQUENCE_EDITOR": "CLAUDE_CONTAINER_SEQUENCE_EDITOR",
    "GIT_PAGER": "CLAUDE_CONTAINER_PAGER",
}
_NONE = {"GIT_EDITOR": (":",), "GIT_SEQUENCE_EDITOR": (":",), "GIT_PAGER": ("", "cat")}  # git starts nothing
HOOKS_PATH = "core.hooksPath"


def callers(passed: Mapping[str, str], files: PrivateFiles) -> dict[str, str]:
    """The caller's variables without those that are ours to set.

    A git that runs within a hook or an editor on the agent's side brings ours back: they are taken out.
    """
    kept = {name: value for name, value in passed.items() if name not in _NEVER}
    for name in _EDITORS:
        if name in kept and kept[name].startswith(f"{files.root}/"):
            del kept[name]
    if "GIT_CONFIG_PARAMETERS" in kept:
        rest = kept["GIT_CONFIG_PARAMETERS"]
        for directory in files.all_hooks:
            rest = rest.replace(f"'{HOOKS_PATH}'='{directory}'", "")
        rest = rest.strip()
        kept["GIT_CONFIG_PARAMETERS"] = rest
        if not rest:
            del kept["GIT_CONFIG_PARAMETERS"]
    return kept


def fixed(files: PrivateFiles) -> dict[str, str]:
    """What every git gets, also one that only looks something up."""
    return {
        "GIT_CONFIG_GLOBAL": files.configuration,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file",  # other transports reach nothing from the worker
    }


def for_command(
    command: GitCommand, caller: Mapping[str, str], files: PrivateFiles, unchecked: tuple[str, ...]
) -> dict[str, str]:
    """What the command gets on top of the caller's environment. `unchecked` are hooks that no rule needs."""
    ours = {**fixed(files), "CLAUDE_CONTAINER_UNCHECKED": " ".join(unchecked)}
    if command.name == "var":  # it tells about the environment: the caller's
        return ours
    ours["CLAUDE_CONTAINER_SUBCOMMAND"] = command.name
    for name, script in _EDITORS.items():
        value = caller.get(name)
        if value in _NONE[name]:
            continue
        ours[name] = files.script(script)
        if value is not None:
            ours[_SAVED[name]] = value
    if skipped := _skipped_hooks(command):
        ours["CLAUDE_CONTAINER_SKIP_OWN_HOOKS"] = skipped
    if own := _callers_hooks(command):
        ours["CLAUDE_CONTAINER_OWN_HOOKS"] = own
    return ours


def _skipped_hooks(command: GitCommand) -> str:
    """The repository's own hooks that the caller's --no-verify skips."""
    skipped = NO_VERIFY.get(command.name, "")
    option = command.given("verify") if skipped else None
    return skipped if option is not None and option.negated else ""


def _callers_hooks(command: GitCommand) -> str:
    """The hooks directory of a caller's own `-c core.hooksPath=...`."""
    for setting in reversed(command.globals.settings):
        name, _, value = setting.partition("=")
        if name.lower() == HOOKS_PATH.lower():
            return value
    return ""
