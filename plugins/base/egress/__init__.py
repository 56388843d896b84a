"""The gateway of a tool that has none of its own: connects to hosts of `network.allow`, and to no others."""

from typing import Final

MODULE: Final = "plugins.base.egress"  # what is run
