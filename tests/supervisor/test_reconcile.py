"""What is to be done, as a table: states and a clock in, actions out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from supervisor import reconcile
from supervisor.reconcile import Life, Plan, Process, Remove, Start, Stop
from supervisor.status import PluginState

NEW = Life()
RUNNING = Life(process=Process.ALIVE, linked=True, ready=True, healthy_since=0.0)
DUMB = Life(process=Process.ALIVE, link_changed=100.0)
WAITING = Life(failures=1, retry_at=100.5)

CASES = [
    ("a new file starts its plugin", {"a"}, set(), {"a": NEW}, Plan((Start("a"),))),
    ("a file is known before its plugin is", {"a"}, set(), {}, Plan((Start("a"),))),
    ("one that runs is left alone", {"a"}, set(), {"a": RUNNING}, Plan(())),
    ("a file that went stops its plugin", set(), set(), {"a": RUNNING}, Plan((Stop("a"),))),
    ("one that ended without a file is forgotten", set(), set(), {"a": NEW}, Plan((Remove("a"),))),
    ("the operator's stop counts", {"a"}, {"a"}, {"a": RUNNING}, Plan((Stop("a"),))),
    ("and holds", {"a"}, {"a"}, {"a": NEW}, Plan(())),
    ("a crashed one waits", {"a"}, set(), {"a": WAITING}, Plan((), 100.5)),
    ("a crashed one that is held does not", {"a"}, {"a"}, {"a": WAITING}, Plan(())),
    ("until its time comes", {"a"}, set(), {"a": replace(WAITING, retry_at=100.0)}, Plan((Start("a"),))),
    ("one being spawned is waited for", set(), set(), {"a": Life(process=Process.SPAWNING)}, Plan(())),
    ("one that is ending too", {"a"}, set(), {"a": Life(process=Process.ENDING)}, Plan(())),
    ("one that does not call has time", {"a"}, set(), {"a": DUMB}, Plan((), 100.0 + reconcile.SILENCE)),
    (
        "but not for ever", {"a"}, set(), {"a": replace(DUMB, link_changed=100.0 - reconcile.SILENCE)},
        Plan((Stop("a", "It did not reach the supervisor for 30 s."),)),
    ),
    (
        "a bad one blocks no other", {"a", "b", "c"}, set(), {"a": WAITING, "b": DUMB, "c": NEW},
        Plan((Start("c"),), 100.5),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "held", "lives", "wanted"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_plan(files: set[str], held: set[str], lives: dict[str, Life], wanted: Plan) -> None:
    assert reconcile.plan(files, held, lives, 100.0) == wanted


def crashes(*times: float) -> Life:
    life = NEW
    for at in times:
        life = reconcile.crashed(reconcile.alive(reconcile.spawning(life, at), at), at, "it fell over")
    return life


def test_one_that_was_started_with_something_else_is_started_anew() -> None:
    lives = {"a": RUNNING, "b": RUNNING}
    assert reconcile.plan({"a", "b"}, set(), lives, 100.0, {"a"}).actions == (Stop("a"),)


def test_each_new_start_takes_twice_as_long_up_to_a_limit() -> None:
    assert [reconcile.backoff(n) for n in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert reconcile.backoff(10_000) == 30
    life = crashes(0.0, 100.0, 200.0)
    assert life.retry_at == 202.0
    assert reconcile.state(life, wanted=True) == "backoff"


def test_many_crashes_in_a_short_time_are_a_crash_loop_that_is_still_tried() -> None:
    assert not crashes(0, 1, 2, 3).looping
    life = crashes(0, 1, 2, 3, 4)
    assert life.looping
    assert life.retry_at == 4 + reconcile.LONGEST_DELAY
    assert reconcile.state(life, wanted=True) == "crash-loop"
    assert reconcile.plan({"a"}, set(), {"a": life}, life.retry_at).actions == (Start("a"),)
    assert reconcile.crashed(life, 500.0, "").looping


def test_crashes_far_apart_are_no_loop() -> None:
    assert not crashes(*range(0, 600, 20)).looping


def test_a_minute_of_health_makes_the_past_forgotten() -> None:
    life = crashes(0, 1, 2, 3, 4)
    life = reconcile.alive(reconcile.spawning(life, 40), 40)
    life = reconcile.ready(reconcile.linked(life, 41, up=True), 41)
    assert reconcile.state(life, wanted=True) == "running"
    assert reconcile.crashed(life, 41 + reconcile.SETTLED - 1, "").looping
    later = reconcile.crashed(life, 41 + reconcile.SETTLED, "")
    assert (later.looping, later.failures) == (False, 1)
    assert later.restarts == life.restarts


def test_health_counts_from_when_the_plugin_was_both_ready_and_connected() -> None:
    life = reconcile.ready(reconcile.linked(reconcile.alive(NEW, 1), 2, up=True), 3)
    assert life.healthy_since == 3
    assert reconcile.ready(life, 9).healthy_since == 3
    assert reconcile.linked(life, 4, up=False).healthy_since is None
    assert reconcile.ready(life, 4, "no tool").healthy_since is None


def test_a_plugin_that_was_told_to_end_did_not_crash() -> None:
    assert reconcile.ended(reconcile.ending(RUNNING)) == NEW


def test_restarts_are_counted_when_they_follow_a_crash() -> None:
    assert reconcile.spawning(NEW, 0).restarts == 0
    assert crashes(0, 1, 2).restarts == 2


STATES: list[tuple[Life, bool, PluginState]] = [
    (NEW, False, "stopped"),
    (NEW, True, "starting"),
    (Life(process=Process.SPAWNING), True, "starting"),
    (DUMB, True, "starting"),
    (RUNNING, True, "running"),
    (replace(RUNNING, linked=False), True, "unhealthy"),
    (replace(RUNNING, ready=False, problem="no tool"), True, "unhealthy"),
    (reconcile.ending(RUNNING), False, "stopping"),
    (WAITING, True, "backoff"),
    (WAITING, False, "stopped"),
]


@pytest.mark.parametrize(("life", "wanted", "state"), STATES)
def test_state(life: Life, wanted: bool, state: PluginState) -> None:
    assert reconcile.state(life, wanted=wanted) == state
