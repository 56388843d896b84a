"""What to do so that the plugins that run are those that should. Pure: states and a clock in, actions out.

A plugin should run when it has a policy file and no operator stopped it. One that ends on its own is
started again, later and later; one that keeps on ending is in a crash loop, and still tried. Each
plugin is looked at alone: none keeps another one waiting.

Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from supervisor.status import PluginState

FIRST_DELAY = 0.5  # before the first new start; each further one takes twice as long ...
LONGEST_DELAY = 30.0  # ... up to this
SETTLED = 60.0  # healthy for so long: what was before is forgotten
LOOP_CRASHES = 5  # so many crashes ...
LOOP_WINDOW = 60.0  # ... within this time are a crash loop
SILENCE = 30.0  # a process that does not reach the supervisor for so long is replaced


class Process(Enum):
    NONE = "none"
    SPAWNING = "spawning"
    ALIVE = "alive"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of one plugin's process, and of those before it."""

    process: Process = Process.NONE
    linked: bool = False  # it talks to the supervisor
    link_changed: float = 0.0  # when it was spawned, or `linked` changed
    ready: bool = False  # said that commands can run
    problem: str = ""  # why commands cannot run, or why there is no process
    healthy_since: float | None = None
    crashes: tuple[float, ...] = ()  # the latest ones
    failures: int = 0  # in a row
    looping: bool = False
    retry_at: float = 0.0
    restarts: int = 0


# ---------------------------------------------------------------- what happens to a plugin


def spawning(life: Life, now: float) -> Life:
    return replace(
        life, process=Process.SPAWNING, linked=False, link_changed=now, ready=False, problem="",
        healthy_since=None, restarts=life.restarts + bool(life.failures),
    )  # fmt: skip


def alive(life: Life, now: float) -> Life:
    """The process is there: just spawned, or found running."""
    return replace(life, process=Process.ALIVE, link_changed=now)


def linked(life: Life, now: float, *, up: bool) -> Life:
    """The plugin reached the supervisor, or the link was lost."""
    return replace(life, linked=up, link_changed=now, healthy_since=_since(life, now, up and life.ready))


def ready(life: Life, now: float, problem: str = "") -> Life:
    """The plugin said that commands can run, or (with a problem) that they cannot."""
    if life.process is not Process.ALIVE:
        return life
    fine = not problem
    return replace(
        life, ready=fine, problem=problem, healthy_since=_since(life, now, fine and life.linked)
    )  # fmt: skip


def _since(life: Life, now: float, healthy: bool) -> float | None:
    if not healthy:
        return None
    return now if life.healthy_since is None else life.healthy_since


def ending(life: Life, problem: str = "") -> Life:
    """It was told to end; with a problem, because it hung."""
    return replace(life, process=Process.ENDING, problem=problem)


def ended(life: Life) -> Life:
    """The process ended because it was told to."""
    return Life(restarts=life.restarts)


def crashed(life: Life, now: float, problem: str) -> Life:
    """The process ended on its own, could not be spawned, or was ended because it hung."""
    settled = life.healthy_since is not None and now - life.healthy_since >= SETTLED
    before = Life(restarts=life.restarts) if settled else life
    crashes = (*(at for at in before.crashes if now - at < LOOP_WINDOW), now)[-LOOP_CRASHES:]
    looping = before.looping or len(crashes) >= LOOP_CRASHES
    delay = LONGEST_DELAY if looping else backoff(before.failures)
    return Life(
        problem=problem, crashes=crashes, failures=before.failures + 1, looping=looping,
        retry_at=now + delay, restarts=before.restarts,
    )  # fmt: skip


def backoff(failures: int) -> float:
    """Seconds until the next start after `failures` failures before this one."""
    return float(min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures, 16)))


def state(life: Life, *, wanted: bool) -> PluginState:
    """The state in one word."""
    match life.process:
        case Process.SPAWNING:
            return "starting"
        case Process.ENDING:
            return "stopping"
        case Process.ALIVE if life.ready and life.linked:
            return "running"
        case Process.ALIVE:
            return "unhealthy" if life.ready or life.problem else "starting"
    if not wanted:
        return "stopped"
    if life.looping:
        return "crash-loop"
    return "backoff" if life.failures else "starting"


# ---------------------------------------------------------------- what to do


@dataclass(frozen=True, slots=True)
class Start:
    plugin: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process. With `problem` it hangs, which counts as a crash."""

    plugin: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Remove:
    """Its policy file is gone, and so is its process: forget it, take its wrapper away."""

    plugin: str


Action = Start | Stop | Remove


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and when to look again if nothing happens (None: only when something happens)."""

    actions: tuple[Action, ...]
    next_at: float | None = None


def plan(
    files: Collection[str], held: Collection[str], lives: Mapping[str, Life], now: float,
    outdated: Collection[str] = (),
) -> Plan:  # fmt: skip
    """Compare what should run (tools with `files`, but for those `held` by an operator) with what does.

    What is `outdated` was started with something that is otherwise now: it ends, and is started anew.
    """
    actions: list[Action] = []
    times: list[float] = []
    for name in sorted({*files, *lives}):
        life = lives.get(name, Life())
        action = _action(
            name,
            life,
            now,
            there=name in files,
            wanted=name in files and name not in held,
            outdated=name in outdated,
        )
        if action is not None:
            actions.append(action)
        elif (at := _next(life, wanted=name in files and name not in held)) is not None:
            times.append(at)
    return Plan(tuple(actions), min(times, default=None))


def _action(name: str, life: Life, now: float, *, there: bool, wanted: bool, outdated: bool) -> Action | None:
    match life.process:
        case Process.ALIVE if not wanted or outdated:
            return Stop(name)
        case Process.ALIVE if not life.linked and now >= life.link_changed + SILENCE:
            return Stop(name, f"It did not reach the supervisor for {SILENCE:.0f} s.")
        case Process.NONE if wanted and now >= life.retry_at:
            return Start(name)
        case Process.NONE if not there:
            return Remove(name)
    return None


def _next(life: Life, *, wanted: bool) -> float | None:
    if life.process is Process.ALIVE and not life.linked:
        return life.link_changed + SILENCE
    return life.retry_at if life.process is Process.NONE and wanted else None
