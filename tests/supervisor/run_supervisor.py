"""A supervisor with fake plugins, in a process of its own: HOME WORKSPACE. Says "ready" on stdout."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from supervisor.home import Home
from supervisor.runtimes.process import ProcessRuntime
from supervisor.supervisor import Supervisor
from tests.supervisor.harness import FAKE

if __name__ == "__main__":
    home = Home(Path(sys.argv[1]))
    supervisor = Supervisor(home, Path(sys.argv[2]), ProcessRuntime(home, command=FAKE))
    asyncio.run(supervisor.run(ready=lambda: print("ready", flush=True)))
