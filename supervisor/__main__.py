"""`python -m supervisor HOME WORKSPACE [FD [RUNTIME WHY]]`: a supervisor process.

To FD it says, in one JSON line, that it is ready or why it is not; then it closes it.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from plugins.base.errors import ClaudeContainerError
from supervisor.daemon import run_in_foreground
from supervisor.home import Home
from supervisor.runtimes.choice import Chosen


class _Word:
    """What is said, once, to whoever started this process. `descriptor` -1: nobody."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        if descriptor >= 0:
            os.set_inheritable(descriptor, False)

    def say(self, word: dict[str, object]) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):  # nobody waits for it any more
                os.write(descriptor, json.dumps(word).encode() + b"\n")
            os.close(descriptor)


def chosen(arguments: list[str]) -> Chosen:
    if not arguments:
        return Chosen("process", "")
    return Chosen("docker" if arguments[0] == "docker" else "process", " ".join(arguments[1:]))


def main(arguments: list[str]) -> int:
    home, workspace = Home(Path(arguments[0])), Path(arguments[1])
    word = _Word(int(arguments[2]) if len(arguments) > 2 else -1)
    try:
        run_in_foreground(home, workspace, chosen(arguments[3:]), ready=lambda: word.say({}))
    except ClaudeContainerError as error:
        print(f"error: {error.message}", file=sys.stderr)
        word.say({"error": {"message": error.message, "hint": error.hint}})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
