"""A large file by https: curl through the gateway of `network.allow` and straight to the server, in turn."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from tests.bench.harness import Pair, interleave
from tests.bench.rows import Row, beside_direct
from tests.e2e.network import Site, site_for

_BYTES: Final = 100_000_000
_RUNS: Final = 7
_BUDGET: Final = 0.5
_ROW: Final = "{} of 100 MB by https, through the gateway of `network.allow`"


def egress(_: object) -> Iterator[Row]:
    if shutil.which("curl") is None:
        return
    content = os.urandom(_BYTES)
    with site_for("curl", content) as site:
        (site.project / "large").write_bytes(content)
        site.allow(f"localhost:{site.ports[0]}")
        site.wait(site.tool)
        yield beside_direct(_ROW.format("download"), _BUDGET, _turns(site, "--output", "/dev/null"))
        yield beside_direct(
            _ROW.format("upload"), _BUDGET, _turns(site, "--header", "Expect:", "--upload-file", "large")
        )


def _turns(site: Site, *words: str) -> Pair:
    return interleave(
        partial(_seconds, site, words, ours=False), partial(_seconds, site, words, ours=True), runs=_RUNS
    )


def _seconds(site: Site, words: tuple[str, ...], *, ours: bool) -> float:
    """Raises `CalledProcessError` when it fails: a wrong answer has no speed."""
    program = str(site.home.cli / "curl") if ours else "curl"
    command = [
        program,
        "--silent",
        "--fail",
        "--cacert",
        "localhost.pem",
        *words,
        f"https://localhost:{site.ports[0]}/",
    ]
    environment = {"PATH": os.environ["PATH"], "PLUGIN_SOCKET_DIR": str(site.home.sockets)}
    start = time.perf_counter()
    subprocess.run(command, cwd=site.project, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
