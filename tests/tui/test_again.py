from __future__ import annotations

import asyncio

from textual.app import App

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
