"""Plugins that a killed supervisor left running, of whichever runtime: found and ended."""

from __future__ import annotations

import asyncio
import logging

from plugins.base.errors import ClaudeContainerError
from supervisor import fleet
from supervisor.home import Home
from supervisor.runtimes.process import ProcessRuntime
from supervisor.runtimes.runtime import Runtime

log = logging.getLogger(__name__)


async def stop(home: Home, *, but: str = "") -> bool:
    """End them all, but for those of the runtime `but`; whether any ran. The caller holds the home's lock."""
    found = False
    for runtime in _runtimes(home):
        if runtime.name != but:
            found |= await _stop(runtime)
    return found


def _runtimes(home: Home) -> list[Runtime]:
    runtimes: list[Runtime] = [ProcessRuntime(home)]
    if any(home.container_record("_").parent.glob("*.json")):
        from supervisor.containers.runtime import DockerRuntime  # brings the SDK

        runtimes.append(DockerRuntime(home))
    return runtimes


async def _stop(runtime: Runtime) -> bool:
    try:
        instances = [await runtime.adopt(name) for name in await runtime.found()]
        left = [instance for instance in instances if instance is not None]
        await asyncio.gather(*map(fleet.end, left))
    except ClaudeContainerError as error:
        log.warning("Plugins may be left running: %s", error)
        return False
    finally:
        await runtime.close()
    return bool(left)
