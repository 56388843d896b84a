from __future__ import annotations

import pytest

from plugins.base.control import Effect, Update

_ONE, _TWO, _NONE = "1" * 40, "2" * 40, "0" * 40


@pytest.mark.parametrize(
    ("old", "new", "fast_forward", "effect"),
    [
        (_NONE, _ONE, None, Effect.NEW),
        (_ONE, _NONE, False, Effect.DELETES),
        (_ONE, _TWO, True, Effect.FAST_FORWARD),
        (_ONE, _TWO, False, Effect.REWRITES),
        (_ONE, _TWO, None, Effect.UNKNOWN),
    ],
)
def test_the_effect_of_a_push_on_a_ref(old: str, new: str, fast_forward: bool | None, effect: Effect) -> None:
    assert Update(ref="refs/heads/x", old=old, new=new, fast_forward=fast_forward).effect is effect
