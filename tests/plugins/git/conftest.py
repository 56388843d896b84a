from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.git.box import DEFAULT_POLICY, Box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """The default policy, with checks of commits switched on."""
    text = DEFAULT_POLICY.read_text()
    for name in ("max_file_bytes", "forbidden_paths", "commit_message_pattern"):
        text = text.replace(f"# {name}:", f"{name}:")
    return Box.make(tmp_path, text)


@pytest.fixture
def plain_box(tmp_path: Path) -> Box:
    """The default policy as it is shipped."""
    return Box.make(tmp_path)
