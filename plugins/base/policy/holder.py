"""The policy that a process goes by: taken over when it is good, kept for the next start."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from plugins.base.control import Applied, Message, SetPolicy
from plugins.base.errors import Denied
from plugins.base.policy import Policy, PolicyError, parse_policy, policy_hash
from plugins.base.rules import ToolRules

log = logging.getLogger(__name__)


class PolicyHolder:
    """Holds the last good policy of one tool. `tell` sends to the supervisor."""

    def __init__(
        self, tool: str, rules_model: type[ToolRules], stored: Path, tell: Callable[[Message], None]
    ) -> None:
        self._tool = tool
        self._rules_model = rules_model
        self._stored = stored
        self._tell = tell
        self.policy: Policy | None = None

    def read(self, offer: SetPolicy) -> Policy:
        """Parse an offered policy. Raises `Denied` (a `PolicyError` with all problems)."""
        if policy_hash(offer.text) != offer.policy:
            raise Denied("The policy's text does not have the hash that came with it.")
        return parse_policy(
            offer.text, file=f"{self._tool}.yaml", rules_model=self._rules_model, plugin=self._tool
        )

    def reject(self, offer: SetPolicy, error: Denied | OSError) -> None:
        """Say why an offer is not taken over; what was in force stays."""
        problems = tuple(map(str, error.problems)) if isinstance(error, PolicyError) else (str(error),)
        log.warning("The new policy is refused, the last good one stays: %s", problems[0])
        self._tell(Applied(policy=offer.policy, problems=problems))

    def take(self, policy: Policy) -> None:
        """Put a policy in force, keep it for a start without a supervisor, and say so."""
        self.enforce(policy)
        new = self._stored.with_suffix(".new")
        try:
            new.write_bytes(policy.text.encode("utf-8"))
            new.replace(self._stored)
        except OSError as error:
            log.warning("The policy cannot be kept for the next start: %s", error)
        self._tell(Applied(policy=policy.hash))

    def enforce(self, policy: Policy) -> None:
        if self.policy is None or self.policy.hash != policy.hash:
            log.info("Policy %s is in force.", policy.hash[:12])
        self.policy = policy

    def last_good(self) -> Policy | None:
        """The policy kept from the last run, if it can be used."""
        try:
            text = self._stored.read_text("utf-8")
            return self.read(SetPolicy(policy=policy_hash(text), text=text))
        except FileNotFoundError:
            return None
        except (Denied, OSError, ValueError) as error:
            log.warning("The policy kept from the last run cannot be used: %s", error)
            return None
