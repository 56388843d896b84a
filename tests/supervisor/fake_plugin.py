"""A plugin that does what the supervisor's tests need: a program of its own that speaks the control protocol.

Its name says how it behaves: `crash` ends at once, `deaf` never calls, `ill` has no tool, all others work.
A line sent to its agent's socket makes it do something: `event TEXT` records an event, `ask WORD` asks the
operator, `policy` tells what it enforces, `lockdown` what it refuses with, `flood` and `garbage` misbehave.
`tell TEXT` says something to a caller, as gateways do; `heard` tells what was said to its own.
"""

from __future__ import annotations

import select
import signal
import socket
import sys
import time
import uuid
from pathlib import Path

from pydantic import BaseModel

from plugins.base.control import (
    FROM_SUPERVISOR,
    Answer,
    Applied,
    Ask,
    AuditEvent,
    Hello,
    Isolation,
    Lockdown,
    Ready,
    Record,
    SetPolicy,
    StartConfig,
    Stats,
    Stop,
    Stored,
    Tell,
    Told,
    Welcome,
)
from plugins.base.model import Layer


class FakePlugin:
    def __init__(self, config: StartConfig) -> None:
        self.config = config
        self.control: socket.socket | None = None
        self.policy = ""
        self.lockdown = ""
        self.spool: list[AuditEvent] = []
        self.batches: dict[int, tuple[AuditEvent, ...]] = {}
        self.asked: dict[int, socket.socket] = {}
        self.heard: list[str] = []
        self.number = 0
        Path(config.socket).unlink(missing_ok=True)
        self.agents = socket.socket(socket.AF_UNIX)
        self.agents.bind(config.socket)
        self.agents.listen()

    def run(self) -> None:
        while True:
            if self.control is None:
                self.dial()
            known = [self.agents] + ([self.control] if self.control else [])
            readable, _, _ = select.select(known, [], [], None if self.control else 0.02)
            try:
                if self.agents in readable:
                    self.serve(self.agents.accept()[0])
                if self.control in readable:
                    self.listen()
            except (OSError, EOFError):
                if self.control is not None:
                    self.control.close()
                    self.control = None

    def dial(self) -> None:
        control = socket.socket(socket.AF_UNIX)
        try:
            control.connect(self.config.control)
            self.control = control
            self.send(
                Hello(
                    plugin=self.config.plugin, token=self.config.token, pid=1, version="fake",
                    started=time.time(), policy=self.policy,
                )
            )  # fmt: skip
            assert isinstance(self.receive(), Welcome)
            problem = "There is no such tool." if self.config.plugin == "ill" else ""
            self.send(
                Ready(isolation=Isolation(seccomp=True), tool="" if problem else "fake 1", problem=problem)
            )
            self.send(Stats(commands=7))
            self.record()
        except (OSError, EOFError):
            control.close()
            self.control = None

    def serve(self, agent: socket.socket) -> None:
        word, _, rest = agent.makefile("r").readline().strip().partition(" ")
        answer = "done"
        if word == "event":
            self.spool.append(
                AuditEvent(
                    id=uuid.uuid4().hex, time=time.time(), plugin="another", layer=Layer.ARGV, reason=rest
                )
            )
            self.record()
        elif word == "policy":
            answer = self.policy
        elif word == "lockdown":
            answer = self.lockdown
        elif word == "ask":
            self.ask(rest, agent)
            return
        elif word == "heard":
            answer = " ".join(self.heard)
        elif word == "tell":
            self.number += 1
            self.asked[self.number] = agent
            self.send(Tell(tell=self.number, command="c", text=rest))
            return
        elif word == "flood":
            for number in range(100_000):
                self.send(Stats(commands=number))
        elif word == "garbage":
            self.send_bytes(b"[" * 100_000)
        elif word == "huge":
            assert self.control is not None
            self.control.sendall(b"\xff\xff\xff\xff")
        agent.sendall(f"{answer}\n".encode())
        agent.close()

    def ask(self, fingerprint: str, agent: socket.socket) -> None:
        self.number += 1
        self.asked[self.number] = agent
        self.send(
            Ask(
                ask=self.number, fingerprint=fingerprint, plugin=self.config.plugin, command="c", cwd="/",
                layer=Layer.ARGV, args=("push",), hold_seconds=30, grant_minutes=5,
            )
        )  # fmt: skip

    def listen(self) -> None:
        match self.receive():
            case SetPolicy(policy=name, text=text):
                if "refuse-me" in text:
                    self.send(Applied(policy=name, problems=("It does not please.",)))
                else:
                    self.policy = name
                    self.send(Applied(policy=name))
            case Lockdown(on=on, message=message):
                self.lockdown = message if on else ""
            case Stored(batch=batch):
                stored = self.batches.pop(batch)
                self.spool = [event for event in self.spool if event not in stored]
            case Answer(ask=number, outcome=outcome, reason=reason):
                self.answered(number, outcome, reason)
            case Tell(tell=number, text=text):
                self.heard.append(text)
                self.send(Told(tell=number))
            case Told(tell=number):
                self.answered(number, "told", "")
            case Stop():
                sys.exit(0)

    def answered(self, number: int, outcome: str, reason: str) -> None:
        agent = self.asked[number]
        agent.sendall(f"{outcome} {reason}".strip().encode() + b"\n")
        if outcome != "waiting":
            agent.close()
            del self.asked[number]

    def record(self) -> None:
        if self.spool and self.control is not None:
            self.number += 1
            self.batches[self.number] = tuple(self.spool)
            self.send(Record(batch=self.number, events=tuple(self.spool)))

    # ------------------------------------------------------------ frames

    def send(self, message: BaseModel) -> None:
        self.send_bytes(message.model_dump_json().encode())

    def send_bytes(self, data: bytes) -> None:
        if self.control is not None:
            self.control.sendall(len(data).to_bytes(4, "big") + data)

    def receive(self) -> BaseModel:
        return FROM_SUPERVISOR.validate_json(self.exactly(int.from_bytes(self.exactly(4), "big")))

    def exactly(self, count: int) -> bytes:
        assert self.control is not None
        data = b""
        while len(data) < count:
            more = self.control.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data


def main() -> None:
    config = StartConfig.model_validate_json(Path(sys.argv[1]).read_bytes())
    if config.plugin == "crash":
        print("crash: this is how it goes")
        sys.exit(3)
    if config.plugin == "deaf":
        signal.pause()
    FakePlugin(config).run()


if __name__ == "__main__":
    main()
