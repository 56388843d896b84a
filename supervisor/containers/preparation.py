"""Everything that must be there before a plugin's container is made: its image, its networks, its files.

Two files are written. One has the start configuration as it reads inside, and is mounted. The other is the
supervisor's own record, by which the next one knows what it finds running.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from pydantic import ValidationError

from plugins.base.control import StartConfig
from plugins.base.doors import tool_of
from plugins.base.errors import ClaudeContainerError
from supervisor.containers import facts
from supervisor.containers.calls import Found, made_of
from supervisor.containers.connection import Connected
from supervisor.containers.facts import Container, User
from supervisor.containers.off_loop import off_loop
from supervisor.files import make_private, replace_file
from supervisor.gateways import tool_of_image
from supervisor.home import Home
from supervisor.images.of_home import image_id, images_of
from supervisor.runtimes.runtime import NotBuilt


@dataclass(frozen=True, slots=True)
class _Wanted:
    container: Container
    inner: StartConfig  # as it reads inside


class Preparation:
    """For the containers of one home. `command` is what is run in place of a plugin's module, if anything."""

    def __init__(self, home: Home, user: User, version: str, command: tuple[str, ...]) -> None:
        self._home = home
        self._user = user
        self._version = version
        self._command = command
        self._network = asyncio.Lock()

    async def check(self, at: Connected, tool: str) -> None:
        """Raises `NotBuilt` when the image of the tool's plugin is not what it would be now."""
        images = images_of(self._home, at.engine, self._version)
        if await off_loop(images.to_build, [tool]):
            raise NotBuilt(
                f"The image of {tool} is not built, or not up to date.",
                hint=f"Run: claude-container build {tool}",
            )

    async def prepare(self, at: Connected, config: StartConfig) -> tuple[Container, str]:
        """The container that is to be made, and its image's id, when all is ready for it."""
        image = await self._image(at, config)
        wanted = await self._wanted(at, config)
        await asyncio.to_thread(self._write, config, wanted.inner)
        return wanted.container, image

    async def is_current(self, at: Connected, config: StartConfig, found: Found) -> bool:
        """Whether it is made of exactly what one would be made of now."""
        try:
            image = await self._image(at, config)
            wanted = await self._wanted(at, config)
        except ClaudeContainerError:
            return True  # nothing better could be started in its place
        return made_of(wanted.container, image) == found.made

    async def recorded(self, plugin: str) -> StartConfig | None:
        """What an earlier supervisor started the plugin with."""
        return await asyncio.to_thread(self._read, plugin)

    def forget(self, plugin: str) -> None:
        self._home.container_record(plugin).unlink(missing_ok=True)

    async def _image(self, at: Connected, config: StartConfig) -> str:
        return await off_loop(image_id, at.engine, tool_of_image(config.plugin), self._version)

    async def _wanted(self, at: Connected, config: StartConfig) -> _Wanted:
        tool, network = tool_of(config.plugin), None
        if facts.has_network(config):
            async with self._network:
                network = await off_loop(at.networks.inner, tool)
                await off_loop(at.networks.outer)
        made = facts.of_plugin(config, self._home, self._user, self._version, network)
        if self._command:
            made = replace(made, command=(*self._command, facts.START))
        return _Wanted(made, facts.inside(config, network))

    def _write(self, config: StartConfig, inner: StartConfig) -> None:
        record, start = self._home.container_record(config.plugin), self._home.container_start(config.plugin)
        for directory in (record.parent, start, self._home.plugin_state(config.plugin)):
            make_private(directory)
        record.with_suffix(".seen").unlink(missing_ok=True)
        replace_file(start / "start.json", inner.model_dump_json(indent=1).encode(), mode=0o600)
        replace_file(record, config.model_dump_json(indent=1).encode(), mode=0o600)

    def _read(self, plugin: str) -> StartConfig | None:
        try:
            return StartConfig.model_validate_json(self._home.container_record(plugin).read_bytes())
        except (OSError, ValidationError):
            return None
