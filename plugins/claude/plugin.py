"""What is judged of the agent itself: where its container connects to.

There is no command to run and no socket to serve: of this plugin only the gateway that `network.allow` makes
is ever started.
"""

from __future__ import annotations

from typing import ClassVar

from plugins.base.plugin import Plugin
from plugins.base.rules import ToolRules


class AgentRules(ToolRules):
    """None: the policy has no `rules:`."""

    commands: ClassVar[bool] = False


class AgentPlugin(Plugin):
    """See above. The name that it is registered by is that of the agent's policy file."""

    rules_model = AgentRules
