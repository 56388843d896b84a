"""What every test gets."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

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
