"""cc-tui: the console script. All of its stderr and exit codes are here."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from pathlib import Path

from plugins.base.errors import ClaudeContainerError
from supervisor.home import Home
from supervisor.runtimes.choice import WANTED, Wanted


def main() -> None:
    """Exit 0, 1 (one clear line on stderr), 2 (usage) or 130 (interrupted)."""
    arguments = _parse(sys.argv[1:])
    try:
        code = _demo() if arguments.demo else _desk(arguments)
    except ClaudeContainerError as error:
        _complain(error)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cc-tui", description="The operator's desk: plugins, requests, audit, policy, logs."
    )
    parser.add_argument(
        "--home", metavar="H", help="the home directory (default: $CLAUDE_HOME, ~/.claude-container)"
    )
    parser.add_argument(
        "--workspace", metavar="W", type=Path, help="the project the agent works on (default: here)"
    )
    parser.add_argument(
        "--runtime", choices=WANTED, default="auto",
        help="what plugins run in when this starts them; auto: containers, where an engine answers and the "
        "images are built",
    )  # fmt: skip
    parser.add_argument(
        "--demo", action="store_true", help="a scratch project with a busy agent, removed at the end"
    )
    return parser.parse_args(argv)


def _desk(arguments: argparse.Namespace) -> int:
    workspace = (arguments.workspace or Path()).absolute()
    if not workspace.is_dir():
        raise ClaudeContainerError(
            f"{workspace} is not a directory.", hint="Name the project with --workspace."
        )
    return run(Home.find(arguments.home), workspace, arguments.runtime)


def _demo() -> int:
    from supervisor.demo import Demo

    with Demo() as demo:
        return run(demo.home, demo.workspace, "process", on_ready=demo.start_agent)


def run(home: Home, workspace: Path, runtime: Wanted, *, on_ready: Callable[[], None] | None = None) -> int:
    """Show the desk until the operator leaves. `on_ready` is called once, when plugins can be used.

    Returns the exit code; raises `ClaudeContainerError` when no supervisor could be reached or started.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):  # Textual draws on stderr
        raise ClaudeContainerError(
            "cc-tui needs a terminal.", hint="Without one, use: claude-container status"
        )
    gc.disable()  # until the first screen stands: looking for garbage takes time, and there is none yet
    from tui.app import DeskApp
    from tui.live import LiveBackend

    backend = LiveBackend(home, workspace, runtime)
    app = DeskApp(backend, on_ready=on_ready)
    try:
        app.run()
    finally:
        backend.close()
    if app.feed.failure is not None:
        raise app.feed.failure
    return app.return_code or 0


def _complain(error: ClaudeContainerError) -> None:
    from plugins.base.refusal import error_text

    sys.stderr.write(error_text(error.message, error.hint))
