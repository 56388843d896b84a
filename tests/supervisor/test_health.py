"""What is said of plugins that cannot be used: all that matters, and not a word for each of sixty."""

from __future__ import annotations

from typing import Any

from supervisor.health import unhealthy
from supervisor.status import PluginStatus, PolicyStatus


def _plugin(name: str, state: Any = "running", policy: Any = "enforced", **more: Any) -> PluginStatus:
    given = {"wanted": True, "policy": PolicyStatus(state=policy), **more}
    return PluginStatus(name=name, state=state, **given)


def test_nothing_is_said_of_plugins_that_run_or_are_not_wanted() -> None:
    assert unhealthy([]) == ""
    assert unhealthy([_plugin("git"), _plugin("npm", "stopped", wanted=False)]) == ""


def test_each_of_a_few_is_named_with_the_reason() -> None:
    plugins = [
        _plugin("git"),
        _plugin("npm", "crash-loop", reason="npm is not installed"),
        _plugin("gh", policy="missing"),
    ]
    assert unhealthy(plugins) == (
        "npm is not healthy (crash-loop): npm is not installed; "
        "gh refuses everything until it has a valid policy: there is none"
    )


def test_of_many_that_still_start_some_are_named_and_the_others_counted() -> None:
    plugins = [_plugin(f"up{number}") for number in range(23)]
    plugins += [
        _plugin(name, "starting") for name in ("a", "b", "c", *(f"x{number}" for number in range(34)))
    ]
    plugins.append(_plugin("off", "stopped", wanted=False))
    assert unhealthy(plugins) == "23 of 60 plugins are running, still starting: a, b, c and 34 more"


def test_of_many_that_failed_the_first_reasons_are_given() -> None:
    said = unhealthy([_plugin(f"t{number}", "backoff", reason="it ended") for number in range(60)])
    assert said.startswith("t0 is not healthy (backoff): it ended; t1 ")
    assert said.endswith(" and 57 more")
    assert len(said) < 200
