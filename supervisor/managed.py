"""Everything that the supervisor knows of one plugin, and how it looks from outside."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from plugins.base.control import Ready, Stats
from plugins.base.text import printable
from supervisor import reconcile
from supervisor.control_link import PluginLink
from supervisor.policies import state as policy_state
from supervisor.policies.state import PolicyState
from supervisor.reconcile import Life
from supervisor.runtimes.metrics import Usage
from supervisor.runtimes.runtime import Instance
from supervisor.status import PluginStatus

_RATE_SECONDS = 10.0


@dataclass(slots=True)
class Managed:
    """One plugin. Changed by `supervisor.fleet` alone."""

    name: str
    life: Life = field(default_factory=Life)
    instance: Instance | None = None
    link: PluginLink | None = None
    ready: Ready | None = None
    stats: Stats = field(default_factory=Stats)
    policy: PolicyState = field(default_factory=PolicyState)
    usage: Usage | None = None
    cut: str = ""  # why its connection was cut off, while it has no other one
    _counts: deque[tuple[float, int]] = field(default_factory=deque)  # (monotonic, commands)

    def began(self, instance: Instance) -> None:
        """Another process stands behind it now."""
        self.instance, self.ready, self.stats, self.usage = instance, None, Stats(), None
        self._counts.clear()

    def counted(self, stats: Stats) -> bool:
        """Take over new counters; whether anything differs."""
        now = time.monotonic()
        self._counts.append((now, stats.commands))
        while len(self._counts) > 1 and self._counts[1][0] <= now - _RATE_SECONDS:
            self._counts.popleft()
        different, self.stats = stats != self.stats, stats
        return different

    def rate(self) -> float:
        """Commands per second over the latest 10 s."""
        now = time.monotonic()
        recent = [count for at, count in self._counts if at >= now - _RATE_SECONDS]
        if not recent:
            return 0.0
        before = next((count for at, count in reversed(self._counts) if at < now - _RATE_SECONDS), recent[0])
        return max(0, recent[-1] - before) / _RATE_SECONDS

    def status(self, *, wanted: bool) -> PluginStatus:
        state = reconcile.state(self.life, wanted=wanted)
        alive = self.instance is not None
        waits = state in ("backoff", "crash-loop")
        return PluginStatus(
            name=self.name, state=state, wanted=wanted, reason=self._reason(state),
            pid=self.instance.pid if self.instance else None,
            started=self.instance.started if self.instance else None,
            restarts=self.life.restarts,
            retry_at=time.time() + self.life.retry_at - time.monotonic() if waits else None,
            policy=policy_state.status(self.policy, linked=self.life.linked),
            rate=self.rate() if alive else 0.0,
            cpu_percent=self.usage.cpu_percent if self.usage else None,
            memory_bytes=self.usage.memory_bytes if self.usage else None,
            **self._reported(),
        )  # fmt: skip

    def _reported(self) -> dict[str, object]:
        """What the plugin says of itself."""
        numbers = self.stats.model_dump(exclude={"type"})
        if self.ready is None:
            return numbers
        return {**numbers, "tool": printable(self.ready.tool)[:200], "isolation": self.ready.isolation}

    def _reason(self, state: str) -> str:
        if state == "running":
            return ""
        if state == "unhealthy" and not self.life.problem:
            lost = self.cut or "It has no connection to the supervisor at the moment."
            return f"{lost} It goes on by its last policy."
        return printable(self.life.problem)[:1000]
