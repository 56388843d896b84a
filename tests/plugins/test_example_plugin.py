"""The plugin of docs/writing-a-plugin.md works as the page says; git's own uses nothing that it could not."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from plugins.base.model import Layer, Operation
from plugins.base.policy import parse_policy
from plugins.base.registry import plugin_class
from tests.plugins.base.harness import plugin_for

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "example-plugin"
PAGE = ROOT / "docs" / "writing-a-plugin.md"
POLICY = """\
plugin: make
version: 1
rules:
  allowed_targets: [test, build-*]
  allow_variables: false
approvals: {on_block: refuse}
"""
MAKEFILE = "all:\n\t@echo all\ntest:\n\t@echo tested\nbuild-%:\n\t@echo $@\n"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_plugin", EXAMPLE / "make_plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_plugin"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("argv", "targets", "variables"),
    [
        ([], (), ()),
        (["test"], ("test",), ()),
        (["-j4", "-C", "sub", "all", "CC=gcc"], ("all",), ("CC=gcc",)),
        (["--", "-x"], ("-x",), ()),
    ],
)
def test_the_command_line_is_read_as_make_does(
    example: ModuleType, argv: list[str], targets: tuple[str, ...], variables: tuple[str, ...]
) -> None:
    assert example.read(argv) == (targets, variables)


@pytest.mark.parametrize(
    ("argv", "rules"),
    [
        (["test"], []),
        (["build-docs"], []),
        (["all"], ["allowed_targets"]),
        (["clean", "CC=gcc"], ["allowed_targets", "allow_variables"]),
    ],
)
def test_every_reason_is_reported(example: ModuleType, argv: list[str], rules: list[str]) -> None:
    policy = parse_policy(POLICY, file="make.yaml", rules_model=example.MakeRules, plugin="make")
    decision = example.MakePlugin.evaluate(policy, Operation("make", Layer.ARGV, tuple(argv), "/w"))
    assert [reason.rule for reason in decision.reasons] == rules


async def test_it_decides_what_runs(example: ModuleType) -> None:
    async with plugin_for("make", POLICY, plugin=example.MakePlugin) as box:
        (box.workspace / "Makefile").write_text(MAKEFILE)
        assert (await box.call("test")).stdout == b"tested\n"
        assert (await box.call("build-docs")).stdout == b"build-docs\n"
        refused = await box.call()
        assert b"The target all is not one of: test, build-*." in refused.stderr
        assert b"hint: make test" in refused.stderr
        assert refused.exit_code == 1


async def test_a_directory_without_a_makefile_is_refused_with_a_hint(example: ModuleType) -> None:
    async with plugin_for("make", POLICY, plugin=example.MakePlugin) as box:
        assert b"Name a target" in (await box.call()).stderr


@pytest.fixture
def installed(example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `pip install docs/example-plugin` leaves behind."""
    info = tmp_path / "claude_container_make-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: claude-container-make\nVersion: 1.0.0\n")
    group = re.search(r'\[project\.entry-points\."(.*)"\]\n(.*)\n', (EXAMPLE / "pyproject.toml").read_text())
    assert group is not None
    (info / "entry_points.txt").write_text(f"[{group[1]}]\n{group[2].replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield


def test_it_is_found_by_the_tools_name(example: ModuleType, installed: None) -> None:
    assert plugin_class("make") is example.MakePlugin


# ---------------------------------------------------------------- the page


def test_the_page_shows_the_plugin_as_it_is() -> None:
    code = (EXAMPLE / "make_plugin.py").read_text()
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for piece in block.strip().split("\n\n    ...\n\n"):
            assert piece in code


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("plugins.base"):
            yield str(node.module)


def test_git_uses_nothing_that_the_page_does_not_name() -> None:
    named = set(re.findall(r"`(plugins\.base\.[\w.]+)`", PAGE.read_text()))
    used = {module for file in (ROOT / "plugins" / "git").rglob("*.py") for module in imports(file)}
    assert used <= named


def test_what_the_page_names_is_there() -> None:
    names = set(re.findall(r"`(plugins\.base\.[\w.]+)`", PAGE.read_text()))
    assert names
    assert [name for name in sorted(names) if find_spec(name) is None] == []
