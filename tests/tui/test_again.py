from __future__ import annotations

import asyncio
import gc

import pytest
from textual.app import App
from textual.worker import WorkerCancelled

from tui.again import Again


async def test_what_runs_is_finished_and_done_once_more_for_all_who_asked_meanwhile() -> None:
    app: App[None] = App()
    answer, begun = asyncio.Event(), asyncio.Semaphore(0)
    ended: list[None] = []

    async def slow() -> None:
        begun.release()
        await answer.wait()
        ended.append(None)

    async with app.run_test() as pilot:
        again = Again(app, slow)
        again()
        await begun.acquire()
        for _ in range(5):
            again()
            await pilot.pause()
        assert not ended
        answer.set()
        await app.workers.wait_for_complete()
        assert len(ended) == 2
        again()
        await app.workers.wait_for_complete()
        assert len(ended) == 3


async def test_what_is_cancelled_before_it_began_can_be_asked_for_again() -> None:
    app: App[None] = App()
    done: list[None] = []

    async def doing() -> None:
        done.append(None)

    async with app.run_test():
        again = Again(app, doing)
        again()
        app.workers.cancel_all()
        with pytest.raises(WorkerCancelled):
            await app.workers.wait_for_complete()
        gc.collect()  # what was never awaited is told of here
        assert not done
        again()
        await app.workers.wait_for_complete()
        assert done == [None]
