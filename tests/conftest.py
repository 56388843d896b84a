"""What every test gets."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

# A shell's background job starts with these ignored, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

# The same examples on every run, and no verdict that depends on how fast the machine is.
settings.register_profile(
    "project",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")

_AT_ONCE = frozenset(["million-rows"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs an engine comes last: its images are made while the others run."""
    items.sort(key=_needs_engine)


def _needs_engine(item: pytest.Item) -> bool:
    group = item.get_closest_marker("xdist_group")
    return group is not None and group.args[0] not in _AT_ONCE
