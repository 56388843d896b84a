"""What every test gets."""

from __future__ import annotations

import signal

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
