"""Exports docs/images/dashboard.svg from the app running on the demo: python -m tests.tui.picture"""

from __future__ import annotations

import asyncio
from pathlib import Path

from supervisor.demo import Demo
from tui.app import DeskApp
from tui.live import LiveBackend

_TARGET = Path(__file__).parents[2] / "docs" / "images" / "dashboard.svg"
_SIZE = (118, 30)
_SCRATCH = Path("/tmp/demo")
_REQUESTS, _ROWS = 4, 60  # seen before the picture is taken
_NO = "Never by force: push a claude/ branch."


async def picture(demo: Demo) -> str:
    """The dashboard, as soon as the agent has done and tried enough."""
    backend = LiveBackend(demo.home, demo.workspace)
    app = DeskApp(backend, on_ready=demo.start_agent)
    try:
        async with app.run_test(size=_SIZE) as pilot, asyncio.timeout(300):
            while not app.feed.desk.open_requests:
                await pilot.pause(0.5)
            await backend.deny(app.feed.desk.open_requests[0].id, _NO)
            while len(app.feed.desk.open_requests) < _REQUESTS or app.feed.desk.newest < _ROWS:
                await pilot.pause(0.5)
            await pilot.pause(0.5)
            return app.export_screenshot(title="cc-tui")
    finally:
        demo.stop_agent()
        await asyncio.to_thread(backend.close)


def main() -> None:
    with Demo(_SCRATCH) as demo:
        svg = asyncio.run(picture(demo))
    _TARGET.parent.mkdir(parents=True, exist_ok=True)
    _TARGET.write_text(svg, encoding="utf-8")
    print(f"Wrote {_TARGET}.")


if __name__ == "__main__":
    main()
