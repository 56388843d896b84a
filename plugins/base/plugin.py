"""What a tool's plugin is: a class that knows the tool's command line and its rules.

The base class is complete: with nothing overridden it is the plugin of any tool, ruled by
`blocked_subcommands` and `allowed_subcommands`. `plugins.git` overrides what git needs; a
plugin of your own does the same and is found through the entry point group
`claude_container.plugins`.

`evaluate` is pure: policy and operation in, decision out. Whatever must be looked up first
(aliases, remotes) is gathered by `inspect` and stands in the operation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, final

from plugins.base.doors import door
from plugins.base.model import Decision, Layer, Operation, Reason
from plugins.base.rules import ToolRules, judge_subcommands

if TYPE_CHECKING:
    from plugins.base.control import StartConfig
    from plugins.base.policy import Policy


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command as the agent sent it, checked for shape but not yet judged."""

    argv: tuple[str, ...]  # any bytes, as surrogateescape
    cwd: str  # inside the workspace
    environment: Mapping[str, str]  # already filtered
    command: str  # id of this command


@dataclass(frozen=True, slots=True)
class Command:
    """What the worker is to run once the operation is allowed."""

    argv: tuple[str, ...]  # argv[0] is looked up on the worker's PATH
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HookCall:
    """A tool's own hook asking, through the shim, whether to go on."""

    name: str  # "pre-push", ...
    argv: tuple[str, ...]
    cwd: str
    stdin: bytes
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Captured:
    """The end of a command that ran for the plugin itself."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Runner(Protocol):
    """Runs a command in the worker's sandbox and returns what it printed (at most 8 MiB)."""

    def __call__(
        self,
        argv: tuple[str, ...],
        *,
        cwd: str,
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Awaitable[Captured]: ...


class Plugin:
    """A tool under policy. Subclass it for a tool with rules of its own."""

    rules_model: ClassVar[type[ToolRules]] = ToolRules  # the schema of the policy's `rules:`
    gateway: ClassVar[str] = ""  # module of the process that alone has the tool's credentials and network

    def __init__(self, config: StartConfig) -> None:
        self.config = config
        self.tool = config.plugin

    def version_command(self) -> tuple[str, ...]:
        """The command that shows that the tool is there; its first line goes to the status."""
        return (self.tool, "--version")

    def readable_paths(self, policy: Policy) -> tuple[str, ...]:
        """More paths that the worker may read, beside the toolchain and the workspace."""
        return ()

    def writable_paths(self, policy: Policy) -> tuple[str, ...]:
        """More paths that the worker may write, beside the workspace."""
        return ()

    def connect_ports(self) -> tuple[int, ...]:
        """TCP ports that the worker may connect to: those of the plugin's gateway."""
        return (door(self.config.gateway).port,) if self.config.gateway else ()

    @final
    def connected(self, environment: Mapping[str, str], command: str) -> Mapping[str, str]:
        """The environment with the way to the gateway that `network.allow` makes, if there is one."""
        if self.gateway or not self.config.gateway:
            return environment
        from plugins.base.egress.environment import through

        return through(self.config.gateway, command, environment)

    def environment(self, untrusted_environment: Mapping[str, str]) -> dict[str, str]:
        """Choose what of the caller's environment reaches the tool."""
        from plugins.base.environment import passed_on

        # A tool may run git, which gives up where it may not read the machine's own configuration.
        return {**passed_on(untrusted_environment), "GIT_CONFIG_NOSYSTEM": "1"}

    async def prepare(self, run: Runner) -> None:
        """Look around once after the worker started (for example: which subcommands exist)."""

    async def inspect(self, invocation: Invocation, policy: Policy, run: Runner) -> Operation:
        """Gather the facts that judging needs. Raises `Denied` when they cannot be had."""
        return Operation(self.tool, Layer.ARGV, invocation.argv, invocation.cwd)

    @classmethod
    def evaluate(cls, policy: Policy, operation: Operation) -> Decision:
        """Judge an operation. Pure; used alike for enforcing, explaining, replay and tests."""
        return Decision(judge_subcommands(policy, operation))

    @classmethod
    @final
    def decide(cls, policy: Policy, operation: Operation) -> Decision:
        """What decides: `evaluate`, but for connections through the gateway that `network.allow` makes."""
        from plugins.base.egress.connections import is_connection, judge_connection

        if not cls.gateway and is_connection(operation):
            return judge_connection(policy, operation)
        return cls.evaluate(policy, operation)

    @classmethod
    @final
    def relax(cls, policy: Policy, operation: Operation, reason: Reason) -> str:
        """The same for an operator's "always": `relaxed`, or the host among those of `network.allow`."""
        from plugins.base.egress.connections import is_connection, relax_connection

        if not cls.gateway and is_connection(operation):
            return relax_connection(policy, operation, reason)
        return cls.relaxed(policy, operation, reason)

    @classmethod
    def relaxed(cls, policy: Policy, operation: Operation, reason: Reason) -> str:
        """The policy's text, changed so that this reason is none any more: for an operator's "always".

        Raises `EditError` when no change of the rule says just that. Pure.
        """
        from plugins.base.policy.standing import relax_subcommands

        return relax_subcommands(policy, operation, reason)

    def command(self, operation: Operation, invocation: Invocation, policy: Policy) -> Command:
        """What to run for an operation that may run."""
        return Command((self.tool, *invocation.argv), {})

    def deferred(self, operation: Operation, decision: Decision) -> bool:
        """Whether a later layer (a hook, the gateway) will judge this same operation with more facts.

        A blocked operation that is deferred runs on to that layer instead of being held here.
        """
        return False

    async def inspect_hook(
        self, call: HookCall, operation: Operation, policy: Policy, run: Runner
    ) -> Operation:
        """Turn a hook's call into an operation to judge. `operation` is what started the command."""
        raise NotImplementedError

    async def details(self, operation: Operation, run: Runner) -> str:
        """Plain text for the operator who is asked: commits, diffstat, diff."""
        return ""

    def refusal(self, operation: Operation, decision: Decision, request: str, note: str) -> str:
        """What the agent reads on stderr when refused, in the tool's native shape.

        `request` is the id of the approval request ("" when it cannot be approved), `note` what became
        of it ("denied: not on a Friday", "no answer within 120 s").
        """
        from plugins.base.refusal import plain_refusal

        return plain_refusal(decision, request, note)


PluginFactory = Callable[["StartConfig"], Plugin]
