"""Runs every scenario (or those named on the command line) and writes docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from supervisor import daemon
from supervisor.home import Home
from supervisor.setup import prepare_home
from tests.bench.project import make_project
from tests.bench.rows import Row
from tests.bench.scenarios import SCENARIOS, Bench

REPORT = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def main(names: list[str]) -> int:
    chosen = [scenario for scenario in SCENARIOS if not names or scenario.__name__ in names]
    scratch = Path(tempfile.mkdtemp(prefix="cc-bench-")).resolve()
    home = Home(scratch / "home")
    try:
        project = make_project(scratch)
        prepare_home(home)
        daemon.start_in_background(home, project)
        os.chdir(project)
        bench = Bench(home, project, scratch)
        rows = [_told(row) for scenario in chosen for row in scenario(bench)]
    finally:
        daemon.stop(home)
        shutil.rmtree(scratch, ignore_errors=True)
    if not names:
        REPORT.write_text(_report(rows), encoding="utf-8")
        print(f"Wrote {REPORT.name}.")
    return 0


def _told(row: Row) -> Row:
    print(f"{_mark(row):<7} {row.what}: {row.measured} (budget: {row.budget})", flush=True)
    return row


def _mark(row: Row) -> str:
    return {True: "met", False: "MISSED", None: "-"}[row.met]


def _report(rows: list[Row]) -> str:
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}, {git}"
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Both sides of a ratio are measured in turn in the same run, and the median",
        "of the ratios pair by pair is given; single times depend on the machine and are given for scale.",
        "",
        f"Measured on: {machine}; process runtime, but for what says containers.",
        "",
        "| what | measured | budget | |",
        "|---|---|---|---|",
        *(f"| {row.what} | {row.measured} | {row.budget} | {_mark(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
