"""Writes what `importlib.metadata` needs to find plugins by name, while an image is built.

Usage: metadata.py PYPROJECT SITE. The code itself is copied as it is; nothing is compiled or downloaded.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def main(pyproject: str, site: str) -> None:
    project = tomllib.loads(Path(pyproject).read_text(encoding="utf-8"))["project"]
    directory = Path(site) / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    directory.mkdir()
    entries = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in members.items())
        for group, members in project["entry-points"].items()
    )
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (directory / "METADATA").write_text(head, encoding="utf-8")
    (directory / "entry_points.txt").write_text(entries, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
