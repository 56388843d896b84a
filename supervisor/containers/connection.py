"""An engine and what is done there for one home; the runtime's one connection to it, made when needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from supervisor.containers import facts
from supervisor.containers.calls import ContainerCalls
from supervisor.containers.engine import Engine
from supervisor.containers.names import instance_of
from supervisor.containers.networks import ContainerNetworks
from supervisor.containers.off_loop import off_loop
from supervisor.home import Home


@dataclass(frozen=True, slots=True)
class Connected:
    """An engine that answers, and what is done with it for one home."""

    engine: Engine
    calls: ContainerCalls
    networks: ContainerNetworks


class Connection:
    """`engine` connects to the engine; it blocks."""

    def __init__(self, home: Home, engine: Callable[[], Engine]) -> None:
        self._home = home
        self._engine = engine
        self.present: Connected | None = None

    async def get(self) -> Connected:
        """The engine, connected to when it is not. Raises `EngineError`."""
        if self.present is None:
            engine = await off_loop(self._engine)
            if self.present is not None:  # somebody else was faster
                engine.close()
            else:
                self.present = connected(engine, self._home)
        return self.present

    def drop(self) -> None:
        """Let go of the engine; the next `get` connects anew."""
        self.present, before = None, self.present
        if before is not None:
            before.engine.close()


def connected(engine: Engine, home: Home) -> Connected:
    return Connected(
        engine,
        ContainerCalls(engine.api, engine.translated, engine.dialect, instance_of(home)),
        ContainerNetworks(engine.api, engine.translated, engine.dialect, facts.labels(home)),
    )
