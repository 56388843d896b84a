from __future__ import annotations

from plugins.base.control import Isolation
from plugins.base.errors import ClaudeContainerError
from supervisor.status import PolicyStatus
from tests.tui.desk import Driver, open_desk
from tests.tui.fake import FakeBackend, plugin, request, row, status
from tui.app import DeskApp
from tui.backend import Desk
from tui.widgets.lists import DecisionList


async def test_tells_the_state_of_plugins_by_word() -> None:
    plugins = (
        plugin("git"),
        plugin("npm", state="stopped", wanted=False),
        plugin("gh", state="crash-loop", policy=PolicyStatus(state="missing")),
    )
    async with open_desk(FakeBackend(status=status(plugins=plugins))) as desk:
        for words in ("● running", "○ stopped", "✖ crash-loop", "✓ enforced", "✖ missing"):
            await desk.sees(words)


async def test_says_what_isolation_is_missing() -> None:
    partial = plugin(isolation=Isolation(seccomp=True, missing=("the kernel has no Landlock",)))
    async with open_desk(FakeBackend(status=status(plugins=(partial,)))) as desk:
        await desk.sees("◐ partial")
        await desk.sees("git runs without: the kernel has no Landlock")


async def test_names_the_first_problem_of_an_invalid_policy() -> None:
    invalid = plugin(policy=PolicyStatus(state="invalid", problems=("git.yaml:3:1: Unknown key.", "x", "y")))
    async with open_desk(FakeBackend(status=status(plugins=(invalid,)))) as desk:
        await desk.sees("git.yaml:3:1: Unknown key.  (and 2 more)")


async def test_stopping_asks_with_the_focus_on_the_safe_answer() -> None:
    async with open_desk() as desk:
        await desk.press("s")
        await desk.sees("Stop git?")
        await desk.press("enter")
        assert desk.backend.asked == []
        await desk.press("s", "right", "enter")
        await desk.until(lambda: desk.backend.asked == [("stop", "git")])


async def test_starts_a_stopped_plugin_without_a_question() -> None:
    stopped = plugin(state="stopped", wanted=False)
    async with open_desk(FakeBackend(status=status(plugins=(stopped,)))) as desk:
        await desk.press("s")
        await desk.until(lambda: desk.backend.asked == [("start", "git")])


async def test_restarting_an_idle_plugin_needs_no_question() -> None:
    async with open_desk(FakeBackend(status=status(plugins=(plugin(running=0),)))) as desk:
        await desk.press("r")
        await desk.until(lambda: desk.backend.asked == [("restart", "git")])


async def test_says_why_something_cannot_be_done_and_what_to_do() -> None:
    backend = FakeBackend(status=status(plugins=(plugin(running=0),)))
    backend.fails = ClaudeContainerError("The plugin is gone.", hint="Add it again.")
    async with open_desk(backend) as desk:
        await desk.press("r")
        await desk.until(lambda: "The plugin is gone.\nAdd it again." in desk.notices)


async def test_new_blocked_commands_appear_at_once() -> None:
    async with open_desk(FakeBackend(requests=())) as desk:
        await desk.sees("git push origin main")
        desk.backend.audit.append(row(110, args=("config", "--global", "user.name", "root")))
        desk.backend.tell(newest=110)
        await desk.sees("git config --global user.name root")


async def test_tells_apart_what_ran_from_what_another_layer_has_still_to_judge() -> None:
    backend = FakeBackend(requests=())
    backend.audit = [
        row(1, command="a", args=("status",)),
        row(2, command="b", args=("push", "origin", "main"), rule="blocked_branches"),
        row(3, command="b", args=("push", "origin", "main"), verdict="held", layer="wire"),
        row(4, command="c", args=("push", "origin", "claude/x"), rule="allow_force_push"),
        row(
            5, command="d", args=("push", "origin", "+claude/y"), verdict="approved", rule="allow_force_push"
        ),
        row(6, command="", args=(), verdict="info", reason="Started."),
    ]
    async with open_desk(backend) as desk:
        passed, blocked = desk.app.screen.query_one("#passed"), desk.app.screen.query_one("#blocked")
        assert isinstance(passed, DecisionList)
        assert isinstance(blocked, DecisionList)
        await desk.until(lambda: passed.items)
        assert [each.seq for each in passed.items] == [5, 1]
        assert [each.seq for each in blocked.items] == [3]


async def test_lists_fit_the_terminal_when_it_changes_its_size() -> None:
    async with open_desk(size=(200, 50)) as desk:
        await desk.sees("Latest let through")
        await desk.pilot.resize_terminal(40, 12)
        await desk.until(lambda: "Latest let through" not in desk.text)
        await desk.sees("Waiting for you: 1 request")
        await desk.sees("✖ blocked   git push origin main")


async def test_enter_opens_a_waiting_request_and_it_can_be_approved_there() -> None:
    async with open_desk() as desk:
        await desk.press("tab", "enter")
        await desk.sees("not a fast-forward")
        await desk.press("a", "right", "enter")
        await desk.until(lambda: desk.backend.asked == [("approve", "k7m2p9qd", "once", None)])


async def test_commands_that_wait_come_before_those_that_do_not() -> None:
    later = request("later", waiting=0, deadline=None, args=("push", "idle"))
    async with open_desk(FakeBackend(requests=(later, request()))) as desk:
        await desk.sees("2 requests")
        assert desk.text.index("git push --force origin main") < desk.text.index("git push idle")


async def test_lockdown_asks_twice_tells_the_message_and_is_lifted_by_the_same_key() -> None:
    async with open_desk() as desk:
        await desk.press("L")
        await desk.sees("in every plugin, will be refused")
        await desk.type("back soon")
        await desk.press("enter", "right", "enter")
        await desk.until(lambda: desk.backend.asked == [("lockdown", True, "back soon")])
        await desk.sees("LOCKDOWN  every command is refused: back soon")
        await desk.press("L", "right", "enter")
        await desk.until(lambda: desk.backend.asked[-1] == ("lockdown", False, ""))
        await desk.until(lambda: "LOCKDOWN" not in desk.text)


async def test_says_when_the_supervisor_goes_away_and_when_it_is_back() -> None:
    async with open_desk() as desk:
        desk.backend.tell(link="lost", problem="The supervisor went away.")
        await desk.sees("✖ DISCONNECTED  The supervisor went away.")
        desk.backend.tell(link="connected", problem="")
        await desk.until(lambda: "DISCONNECTED" not in desk.text)


async def test_paints_before_there_is_a_supervisor() -> None:
    backend = FakeBackend()
    backend.current = Desk(link="starting")
    async with open_desk(backend) as desk:
        await desk.sees("1 Dashboard")
        await desk.sees("Starting the supervisor …")


async def test_says_what_to_do_when_there_is_no_plugin() -> None:
    async with open_desk(FakeBackend(status=status(plugins=()), requests=())) as desk:
        await desk.sees("claude-container plugin add git")
        await desk.sees("Nothing waits.")


async def test_quitting_an_embedded_supervisor_with_waiting_commands_asks() -> None:
    backend = FakeBackend()
    backend.embedded = True
    async with open_desk(backend) as desk:
        await desk.press("q")
        await desk.sees("1 command waits for your answer and will be refused.")
        await desk.press("escape")
        await desk.until(lambda: "Quit?" not in desk.text)
        assert desk.app.is_running


async def test_quitting_an_attached_desk_does_not_ask() -> None:
    async with open_desk() as desk:
        await desk.press("q")
        await desk.until(lambda: not desk.app.is_running)


async def test_the_clock_of_the_countdown_rests_while_nothing_counts_down() -> None:
    async with open_desk(FakeBackend(requests=())) as desk:
        await desk.sees("Nothing waits.")
        timer = desk.app.screen._second  # type: ignore[attr-defined]
        assert not timer._active.is_set()
        desk.backend.tell(requests=(request(),))
        await desk.until(timer._active.is_set)


async def test_a_held_command_that_was_denied_is_listed_once() -> None:
    backend = FakeBackend()
    same = {"command": "c0ffee", "args": ("push", "held-and-denied")}
    backend.audit = [
        row(1, verdict="held", layer="hook", **same),
        row(2, verdict="denied", layer="approval", **same),
        row(3, verdict="denied", layer="hook", **same),
    ]
    async with open_desk(backend) as desk:
        await desk.sees("✖ denied")
        assert desk.text.count("git push held-and-denied") == 1


async def test_an_allowed_row_that_a_rule_objects_to_is_told_as_deferred() -> None:
    backend = FakeBackend()
    backend.audit = [row(1, rule="blocked_branches"), row(2)]
    async with open_desk(backend) as desk:
        await desk.press("3")
        await desk.sees("→ deferred")
        await desk.sees("✓ allowed")


async def test_the_agent_starts_when_every_plugin_can_be_used() -> None:
    started: list[bool] = []
    backend = FakeBackend(status=status(plugins=(plugin(state="starting"),)))
    app = DeskApp(backend, on_ready=lambda: started.append(True))
    async with app.run_test() as pilot:
        driver = Driver(app, pilot, backend)
        await driver.sees("◐ starting")
        assert not started
        backend.tell(status=status())
        await driver.sees("● running")
        backend.tell(newest=101)
        assert started == [True]


async def test_the_most_urgent_request_is_chosen_until_the_operator_chooses() -> None:
    urgent = request("urgent22", deadline=request().first, args=("push", "urgent"))
    async with open_desk() as desk:
        await desk.sees("1 request")
        desk.backend.tell(requests=(request(), urgent))
        await desk.sees("git push urgent")
        await desk.press("d", "enter")
        await desk.until(lambda: desk.backend.asked == [("deny", "urgent22", "")])
        await desk.press("tab", "down", "up", "down")
        sooner = request("sooner22", deadline=0.0, args=("push", "sooner"))
        desk.backend.tell(requests=(request(), urgent, sooner))
        await desk.sees("git push sooner")
        await desk.press("d", "enter")
        await desk.until(lambda: desk.backend.asked[-1] == ("deny", "k7m2p9qd", ""))
