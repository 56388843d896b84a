"""Which version of us this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """As the installed package says; "" where it is not installed."""
    try:
        return version("claude-container")
    except PackageNotFoundError:
        return ""
