"""Whatever a caller's environment says of proxies, a tool is told of its gateway and of nothing else."""

from __future__ import annotations

import pytest

from plugins.base.egress.environment import through

GATEWAY = "http://127.0.0.1:8417/capability"
COMMAND = "a" * 32
PROXY = f"http://claude-{COMMAND}:capability@127.0.0.1:8417"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"])
def test_every_program_finds_it_by_the_name_that_it_reads(name: str) -> None:
    assert through(GATEWAY, COMMAND, {name: "http://elsewhere:1"})[name] == PROXY


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"])
def test_nothing_goes_beside_it(name: str) -> None:
    assert through(GATEWAY, COMMAND, {name: "*"})[name] == ""


@pytest.mark.parametrize(
    "name",
    [
        "npm_config_proxy",
        "NPM_CONFIG_HTTPS_PROXY",
        "npm_config_http_proxy",
        "npm_config_NOPROXY",
        "npm_config_no_proxy",
    ],
)
def test_npm_has_one_way_whatever_it_was_told(name: str) -> None:
    """npm takes its variables in any case, so of each there must be one alone."""
    told = through(GATEWAY, COMMAND, {name: "elsewhere"})
    npm = {key: value for key, value in told.items() if key.lower().startswith("npm_config_")}
    assert npm == {
        "npm_config_proxy": PROXY,
        "npm_config_https_proxy": PROXY,
        "npm_config_noproxy": "none.invalid",
    }


def test_everything_else_stays() -> None:
    kept = {"LANG": "C", "npm_config_registry": "https://registry.example"}
    assert kept.items() <= through(GATEWAY, COMMAND, kept).items()
