"""Every attack works against plain git, and does nothing through us."""

from __future__ import annotations

import pytest

from tests.escape.attack import Attack
from tests.escape.attacks import FAMILIES
from tests.escape.site import Site

_ALL = [
    pytest.param(attack, id=f"{family}: {attack.name}")
    for family, attacks in FAMILIES.items()
    for attack in attacks
]


def _works_natively(place: Site, attack: Attack) -> bool:
    for _ in range(attack.tries):
        done = place.native(attack.script)
        harm = place.harm(done)
        place.reset()
        if attack.goal in harm:
            return True
        print(done.output)
    return False


def test_there_are_enough_attacks() -> None:
    assert len(_ALL) >= 120


@pytest.mark.parametrize("attack", _ALL)
def test_an_attack_is_real_and_contained(place: Site, attack: Attack) -> None:
    assert _works_natively(place, attack), "not a real attack"
    contained = place.contained(attack.script)
    assert place.harm(contained) == set(), contained.output


def test_the_token_is_in_no_file_environment_or_command_line(place: Site) -> None:
    place.contained("git fetch origin; git push origin HEAD:main; git push origin HEAD:claude/x")
    assert place.token_found_in() == []
