"""What the agent writes is shown as it is: never interpreted, never able to move or hide anything."""

from __future__ import annotations

import pytest

from tests.tui.desk import Driver, open_desk
from tests.tui.fake import FakeBackend, plugin, request, row, status

HOSTILE = (
    "[bold red]approved[/bold red] [@click=app.quit]x[/] [/] ["
    " \x1b[2J\x1b]0;title\x07 \u202eevil\u2066 \x9b31m \r\n\t fin"
)
FORBIDDEN = "\x1b\x07\x9b\r\t\u202e\u2066"
LONG = "A" * 1_000_000


def backend() -> FakeBackend:
    bad = request(
        "hostile1", args=("push", HOSTILE, LONG), cwd=HOSTILE, caller=HOSTILE, remote=HOSTILE,
        reasons=((HOSTILE, 3, HOSTILE),), details=f"{HOSTILE}\n+{HOSTILE}\n{LONG}", answer_reason=HOSTILE,
        updates=(request().updates[0].model_copy(update={"ref": HOSTILE, "old": HOSTILE, "new": HOSTILE}),),
    )  # fmt: skip
    fake = FakeBackend(
        requests=(bad,),
        status=status(
            workspace=HOSTILE,
            origin=HOSTILE,
            warnings=(HOSTILE,),
            plugins=(plugin(reason=HOSTILE, tool=HOSTILE),),
        ),
    )
    fake.audit = [row(10, args=("push", HOSTILE, LONG), rule=HOSTILE, reason=HOSTILE, cwd=HOSTILE)]
    fake.current = fake.current.__class__(**{  # the fake's state, with its one audit row
        **{name: getattr(fake.current, name) for name in ("link", "status", "requests")}, "newest": 10,
    })  # fmt: skip
    return fake


def assert_inert(desk: Driver) -> None:
    assert not set(FORBIDDEN) & set(desk.text)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((), "git push '[bold red]app"),
        (("tab", "enter"), "[bold red]approved[/bold red]"),
        (("tab", "tab", "enter"), "[bold red]approved[/bold red]"),
        (("enter",), "[bold red]approved[/bold red]"),
        (("a",), "[bold red]approved[/bold red]"),
        (("d",), "[bold red]approved[/bold red]"),
        (("2",), "[bold red]approved[/bold red]"),
        (("3",), "git push '[bold red]app"),
        (("3", "enter"), "[bold red]approved[/bold red]"),
    ],
)
async def test_is_inert_everywhere(keys: tuple[str, ...], expected: str, size: tuple[int, int]) -> None:
    async with open_desk(backend(), size=size) as desk:
        await desk.sees("[bold red]app")
        for key in keys:
            await desk.press(key)
            await desk.pilot.pause(0.05)
        await desk.sees(expected)
        assert_inert(desk)


async def test_is_inert_in_notices() -> None:
    async with open_desk(backend()) as desk:
        await desk.press("d", "enter")
        await desk.until(lambda: desk.notices)
        assert "[bold red]" in desk.notices[0]
        assert not set(FORBIDDEN) & set(desk.notices[0])
