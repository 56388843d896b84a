"""The git plugin: gathers what judging git needs, and says how an allowed git is to run.

Judging itself is `plugins.git.rules.evaluate`, which is pure. For git's own local subcommands (status, log,
rev-parse, commit, ...) the command line alone says enough, and nothing is spawned to look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from plugins.base.model import Decision, Layer, Operation, Reason
from plugins.base.plugin import Command, HookCall, Invocation, Plugin, Runner
from plugins.base.rules import ToolRules
from plugins.git import access, addresses, details, environment, hook_facts, places, rules
from plugins.git import refusal as native
from plugins.git.checks.commands import LARGE_FILES
from plugins.git.commandline import GitCommand, Globals, parse
from plugins.git.commandline.aliases import expand, nested
from plugins.git.commandline.push import Repository, names_to_look_up, read_push
from plugins.git.commandline.subcommands import (
    HOOKLESS,
    INDEX_HOOKS,
    KNOWN,
    MESSAGE_HOOKS,
    NO_VERIFY,
    PAST_THE_RULES,
    REMOTE_USERS,
)
from plugins.git.lookup import Lookup
from plugins.git.operation import Contact, GitOperation
from plugins.git.own_hooks import OwnHooks, own_hooks
from plugins.git.private import HOOKS, PrivateFiles
from plugins.git.remotes import Remotes
from plugins.git.rerouting import Rerouting

if TYPE_CHECKING:
    from plugins.base.control import StartConfig
    from plugins.base.policy import Policy

# Rules that the pre-push hook applies again, knowing exactly what would change.
_JUDGED_AGAIN = frozenset(
    {"blocked_branches", "allowed_branch_patterns", "allow_force_push", "allow_delete_remote", "allow_tags"}
)


class GitPlugin(Plugin):
    """git under policy."""

    rules_model: ClassVar[type[ToolRules]] = rules.GitRules
    gateway: ClassVar[str] = "plugins.git.gateway"

    def __init__(self, config: StartConfig) -> None:
        super().__init__(config)
        self._files = PrivateFiles(Path(config.state) / "git")
        self._rerouting = Rerouting(self._files.root, config.gateway, config.stream)
        self._own = KNOWN  # git's subcommands: never aliases
        self._programs: frozenset[str] = frozenset()  # `git-NAME` of others on the PATH: before aliases
        self._pinned_url = addresses.without_credentials(config.origin)
        self._pinned_path = ""  # where it is, when it is on this machine
        if config.origin and addresses.kind(config.origin) is addresses.Kind.LOCAL:
            self._pinned_path = addresses.real_path(addresses.local_path(config.origin, config.workspace))
        if config.state:
            self._files.install(config.client, config.git_config)

    # ------------------------------------------------------------ the worker's sandbox

    def readable_paths(self, policy: Policy) -> tuple[str, ...]:
        writable = self.writable_paths(policy)
        fetched = self._repositories(policy.remotes.fetch)
        borrowed = access.borrowed_objects((*writable, *fetched))
        return tuple(dict.fromkeys((str(self._files.root), *fetched, *borrowed)))

    def writable_paths(self, policy: Policy) -> tuple[str, ...]:
        return self._repositories(policy.remotes.push)

    def connect_ports(self) -> tuple[int, ...]:
        return self._rerouting.ports

    def _repositories(self, patterns: tuple[str, ...]) -> tuple[str, ...]:
        if self.config.gateway:  # which alone reaches them
            return ()
        return access.repositories(
            patterns, origin=self.config.origin, workspace=self.config.workspace, state=self.config.state
        )

    def environment(self, untrusted_environment: Mapping[str, str]) -> dict[str, str]:
        return environment.callers(super().environment(untrusted_environment), self._files)

    async def prepare(self, run: Runner) -> None:
        """Learn git's subcommands (only other names can be aliases), and where its programs are."""
        look = Lookup(run, self.config.workspace, environment.fixed(self._files))
        if self.config.gateway:
            exec_path = await look.line("--exec-path")
            await asyncio.to_thread(self._rerouting.install, exec_path, self._files.shim)
        own = await look.lines("--list-cmds=builtins,main")
        if own:
            self._own = frozenset(own) | PAST_THE_RULES
            self._programs = frozenset(await look.lines("--list-cmds=others")) - self._own

    # ------------------------------------------------------------ judging

    async def inspect(self, invocation: Invocation, policy: Policy, run: Runner) -> Operation:
        command = parse(invocation.argv)
        workspaces = self.config.workspaces
        outside = places.outside((command,), invocation.environment, invocation.cwd, workspaces)
        operation = GitOperation(
            self.tool, Layer.ARGV, invocation.argv, invocation.cwd, outside=outside,
            commands=(command,), runs=command, pinned_url=self._pinned_url, pinned_path=self._pinned_path,
            gateway=bool(self.config.gateway),
        )  # fmt: skip
        if outside or command.problem or command.globals.exec_path is not None or not command.name:
            return operation
        if command.name in self._own and command.name not in REMOTE_USERS:
            return _with_nested(operation)
        look = Lookup(run, invocation.cwd, self._looking(invocation.environment), command.globals)
        if command.name not in self._own:
            operation = await self._resolve_alias(operation, command, look)
        if operation.problem or operation.outside or any(each.problem for each in operation.commands):
            return operation
        return await self._with_remotes(_with_nested(operation), operation.commands, look)

    @classmethod
    def evaluate(cls, policy: Policy, operation: Operation) -> Decision:
        return rules.evaluate(policy, operation)

    @classmethod
    def relaxed(cls, policy: Policy, operation: Operation, reason: Reason) -> str:
        from plugins.git.standing import relaxed

        return relaxed(policy, operation, reason)

    def deferred(self, operation: Operation, decision: Decision) -> bool:
        """A push that is refused for its refs goes on to its hook, which asks with all that is to know."""
        return (
            isinstance(operation, GitOperation)
            and operation.layer is Layer.ARGV
            and operation.push_only
            and decision.approvable
            and all(reason.rule in _JUDGED_AGAIN for reason in decision.reasons)
        ) or self._left_to_the_wire(operation, decision)

    def _left_to_the_wire(self, operation: Operation, decision: Decision) -> bool:
        """What a hook finds against refs that will be pushed, the gateway asks about, holding the commits."""
        return (
            bool(self.config.gateway)
            and isinstance(operation, GitOperation)
            and operation.hook == "pre-push"
            and all(reason.rule in _JUDGED_AGAIN and reason.ref for reason in decision.reasons)
        )

    async def inspect_hook(
        self, call: HookCall, operation: Operation, policy: Policy, run: Runner
    ) -> Operation:
        look = Lookup(run, call.cwd, self._looking(call.environment))
        return await hook_facts.operation_of(call, operation, look, self.config.workspaces)

    def _looking(self, caller: Mapping[str, str]) -> dict[str, str]:
        return {**caller, **environment.fixed(self._files)}

    async def _resolve_alias(
        self, operation: GitOperation, command: GitCommand, look: Lookup
    ) -> GitOperation:
        if command.name in self._programs:
            if command.name == LARGE_FILES:  # its subcommands are known
                return operation
            return replace(
                operation, problem=f"git-{command.name} is a program of its own, not a part of git"
            )
        expansion = expand(command, await look.aliases(), self._own)
        inner = expansion.commands if expansion.script is not None else ()
        return replace(
            operation,
            commands=expansion.commands,
            runs=expansion.runs,
            script=expansion.script,
            problem=expansion.problem,
            outside=places.outside(inner, {}, look.cwd, self.config.workspaces),
        )

    async def _with_remotes(
        self, operation: GitOperation, commands: tuple[GitCommand, ...], look: Lookup
    ) -> GitOperation:
        """Look up what pushes would change and where these commands would connect to."""
        pushes = list(operation.pushes)
        contacts: list[Contact] = []
        for command in commands:
            if command.name not in REMOTE_USERS or not _connects(command):
                continue
            inner = command.globals if operation.script is not None else Globals()
            place = replace(look, globals=_together(look.globals, inner))
            facts = await _facts(command, place)
            remotes = Remotes(place, facts, self.config.workspaces, operation.served)
            if command.name == "push":
                push = read_push(command, facts)
                pushes.append(push)
                contacts += await remotes.of_push(push)
            else:
                contacts += await remotes.of(command)
        return replace(
            operation,
            pushes=tuple(pushes),
            contacts=tuple(dict.fromkeys(contacts)),
            remote=contacts[0].url if contacts else "",
        )

    # ------------------------------------------------------------ running

    def command(self, operation: Operation, invocation: Invocation, policy: Policy) -> Command:
        """The resolved command with our hooks; policy hooks run whatever --no-verify says."""
        git = operation if isinstance(operation, GitOperation) else None
        runs = git.runs if git is not None and git.runs is not None else parse(invocation.argv)
        script = git.script if git is not None else None
        front = list(runs.globals.words)
        if script is not None:  # what was judged is what runs, even if the configuration changes now
            front += ["-c", f"alias.{runs.name}=!{script}"]
        elif runs.name not in self._own:  # not git's own and no alias: git says so, and guesses nothing
            front += ["-c", "help.autoCorrect=never"]
        if runs.name and runs.name not in HOOKLESS:
            front += ["-c", f"{environment.HOOKS_PATH}={self._hooks(runs, script, invocation, policy)}"]
        strips = script is None and runs.name in NO_VERIFY
        arguments = runs.without("verify") if strips else runs.arguments
        ours = environment.for_command(runs, invocation.environment, self._files, self._unchecked(policy))
        ours |= self._rerouting.environment(invocation.command)
        if self.config.gateway and git is not None and runs.name == "clone":
            arguments = _reachable(arguments, git.contacts)
        words = (runs.name, *arguments) if runs.name else ()
        return Command(("git", *front, *words), ours)

    def _hooks(self, runs: GitCommand, script: str | None, invocation: Invocation, policy: Policy) -> str:
        """The directory of hooks for a command: with no more than it needs."""
        own = OwnHooks.ANY
        if script is None:
            workspaces = self.config.workspaces
            own = own_hooks(runs, invocation.environment, invocation.cwd, workspaces, frozenset(HOOKS))
        return self._files.hooks_for(own, self._unchecked(policy))

    def _unchecked(self, policy: Policy) -> tuple[str, ...]:
        """Hooks that need not ask, because no rule is about them."""
        own = policy.rules
        if not isinstance(own, rules.GitRules):
            return ()
        files = () if own.max_file_bytes or own.forbidden_paths else INDEX_HOOKS
        messages = () if own.commit_message_pattern else MESSAGE_HOOKS
        return (*files, *messages)

    # ------------------------------------------------------------ telling

    async def details(self, operation: Operation, run: Runner) -> str:
        if operation.layer is not Layer.HOOK or not operation.updates:
            return ""
        return await details.describe(operation.updates, Lookup(run, operation.cwd, self._looking({})))

    def refusal(self, operation: Operation, decision: Decision, request: str, note: str) -> str:
        return native.refusal(operation, decision, request, note)


def _with_nested(operation: GitOperation) -> GitOperation:
    """Add the git commands that commands are told to run; their remotes are seen by the pre-push hook."""
    found = [nested(command) for command in operation.commands]
    if not any(found):
        return operation
    commands = tuple(command for each in found for command in each.commands)
    pushes = tuple(read_push(command, Repository()) for command in commands if command.name == "push")
    problem = next((each.problem for each in found if each.problem), "")
    return replace(
        operation,
        commands=(*operation.commands, *commands),
        pushes=(*operation.pushes, *pushes),
        problem=operation.problem or problem,
    )


def _reachable(arguments: tuple[str, ...], contacts: tuple[Contact, ...]) -> tuple[str, ...]:
    """A clone's arguments, with file:// before the path of what lies outside the workspace.

    git itself copies a repository that is given by its path, which only the gateway can read.
    """
    outside = {contact.name: contact.path for contact in contacts if contact.path and not contact.inside}
    return tuple(
        f"file://{outside[each]}" if each in outside and "://" not in each else each for each in arguments
    )


def _connects(command: GitCommand) -> bool:
    """Whether a command of the remote kind talks to one, or may."""
    if command.name == "config" or command.name == "subtree":
        return False
    if command.name == "archive":
        return command.value("remote") is not None
    if command.name == "remote":
        return command.action in ("update", "show", "prune", "set-head", "add")
    if command.name == "submodule":
        return command.action in ("add", "update")
    return True


def _together(outer: Globals, inner: Globals) -> Globals:
    """The options of git itself for a command within a shell alias: those of both."""
    return replace(
        outer,
        words=(*outer.words, *inner.words),
        directories=(*outer.directories, *inner.directories),
    )


async def _facts(command: GitCommand, look: Lookup) -> Repository:
    names = names_to_look_up(command) if command.name == "push" else ()
    settings = await look.settings()
    branch, top, refs = await asyncio.gather(look.branch(), look.top(), look.refs_named(names))
    if command.name == "clone":  # works where it is called, not at the top of a repository around it
        top = str(Path(look.cwd, *look.globals.directories))
    return Repository(branch, settings, refs, top)
