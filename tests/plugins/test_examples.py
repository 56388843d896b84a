"""The policies that ship as examples: each parses, and says yes and no to what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.base.model import Layer, Operation
from plugins.base.plugin import Plugin
from plugins.base.policy import Policy, parse_policy
from plugins.base.registry import plugin_class

EXAMPLES = sorted((Path(__file__).parents[2] / "config" / "examples").glob("*.yaml"))


def policy(tool: str) -> tuple[type[Plugin], Policy]:
    path = next(path for path in EXAMPLES if path.stem == tool)
    plugin = plugin_class(tool)
    return plugin, parse_policy(path.read_text(), file=path.name, rules_model=plugin.rules_model, plugin=tool)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_policy_without_credentials(path: Path) -> None:
    assert not policy(path.stem)[1].credentials


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("npm run build", True),
        ("npm run publish-docs", True),
        ("npm test", True),
        ("npm publish", False),
        ("npm --loglevel silly publish", False),
        ("npm publ", False),
        ("npm unpublish left-pad", False),
        ("gh --version", True),
        ("gh completion -s bash", True),
        ("gh alias list", True),
        ("gh alias set x !sh", False),
        ("gh auth token", False),
        ("gh repo delete", False),
        ("gh api graphql", False),
        ("gh extension install a/b", False),
        ("make", True),
        ("make -j4 test", True),
        ("make deploy", False),
        ("make -C sub release", False),
    ],
)
def test_an_example_decides(command: str, allowed: bool) -> None:
    tool, *argv = command.split()
    plugin, rules = policy(tool)
    decision = plugin.evaluate(rules, Operation(tool, Layer.ARGV, tuple(argv), "/w"))
    assert (not decision.reasons) == allowed, decision.reasons
