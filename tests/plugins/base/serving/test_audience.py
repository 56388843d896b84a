"""What a gateway says reaches the caller of the command that it is about, and nobody else."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

from plugins.base.control import Tell
from plugins.base.serving.audience import MOST_SAID
from tests.plugins.base.harness import Box, FdsCall, plugin_for

WAIT = "echo there; read line"


@dataclass
class Waiting:
    """A command that runs until it is told to go on."""

    box: Box
    call: FdsCall
    command: str

    async def tell(self, *texts: str, command: str = "") -> None:
        """Say it, and wait until it was said."""
        first = len(self.box.supervisor.told)
        for number, text in enumerate(texts, first):
            await self.box.supervisor.send(Tell(tell=number, command=command or self.command, text=text))
        await self.box.supervisor.until(lambda: len(self.box.supervisor.told) == first + len(texts))

    async def stderr(self) -> str:
        return (await self.call.finish(b"on\n")).stderr.decode()


async def waiting(box: Box) -> Waiting:
    call = await box.start_with_fds("-c", WAIT)
    assert await call.line() == b"there\n"
    event = await box.supervisor.recorded("-c", WAIT, verdict="allowed")
    return Waiting(box, call, event.command)


async def test_it_is_said_on_the_callers_stderr_while_the_command_runs() -> None:
    async with plugin_for("sh") as box:
        command = await waiting(box)
        await command.tell("error: no\n")
        assert await command.call.error_line() == b"error: no\n"
        assert await command.stderr() == ""


async def test_a_caller_without_descriptors_finds_it_in_the_answer() -> None:
    async with plugin_for("sh") as box:
        fifo = str(box.workspace / "fifo")
        os.mkfifo(fifo)
        script = f"read line <{fifo}"
        caller = await box.start("-c", script)
        event = await box.supervisor.recorded("-c", script, verdict="allowed")
        await box.supervisor.send(Tell(tell=0, command=event.command, text="error: no\n"))
        await box.supervisor.until(lambda: box.supervisor.told)
        await asyncio.to_thread(_write, fifo)
        assert (await caller.response())["stderr"] == "error: no\n"


def _write(fifo: str) -> None:
    with open(fifo, "w", encoding="ascii") as writer:
        writer.write("on\n")


async def test_the_same_is_said_once_and_only_so_much() -> None:
    async with plugin_for("sh") as box:
        command = await waiting(box)
        await command.tell(*["error: no\n"] * 3, *(f"error: {number}\n" for number in range(2 * MOST_SAID)))
        said = (await command.stderr()).splitlines()
        assert said.count("error: no") == 1
        assert len(said) == MOST_SAID


async def test_what_nobody_is_there_to_hear_is_answered_all_the_same() -> None:
    async with plugin_for("sh") as box:
        command = await waiting(box)
        await command.tell("error: for somebody else\n", command="f" * 32)
        assert await command.stderr() == ""
        await command.tell("error: too late\n")
