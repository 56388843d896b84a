"""No yes is used twice, whoever asks or answers at the same time."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor.approvals.requests import RequestError, RequestStore
from supervisor.state_db import StateDb
from tests.supervisor.approvals.desk import NUMBERS, Desk, ask


def test_of_racing_tries_one_uses_a_single_yes(tmp_path: Path) -> None:
    databases = [StateDb(tmp_path / "state.db").open() for _ in range(4)]
    stores = [RequestStore(db) for db in databases]
    for round_ in range(5):
        id_ = stores[0].admit(ask(), round_).request
        stores[0].grant(id_, "once", round_, round_ + 100.0, 0)
        with ThreadPoolExecutor(8) as pool:
            admissions = [*pool.map(lambda n, now=round_: stores[n % 4].admit(ask(), now), range(16))]
        approved = [admission.request for admission in admissions if admission.approved]
        assert approved == [id_]
        (rest,) = {admission.request for admission in admissions if not admission.approved}
        stores[0].deny(rest, "", round_)
    for db in databases:
        db.close()


def test_a_yes_out_of_time_lets_nothing_through_even_before_it_is_swept_away(tmp_path: Path) -> None:
    db = StateDb(tmp_path / "state.db").open()
    store = RequestStore(db)
    store.grant(store.admit(ask(), 1.0).request, "time", 1.0, 2.0, 0)
    assert not store.admit(ask(), 2.0).approved
    db.close()


def test_of_racing_answers_one_counts(tmp_path: Path) -> None:
    databases = [StateDb(tmp_path / "state.db").open() for _ in range(4)]
    stores = [RequestStore(db) for db in databases]
    id_ = stores[0].admit(ask(), 1.0).request

    def answer(number: int) -> bool:
        try:
            stores[number % 4].grant(id_, "once", 1.0, 2.0, 0)
        except RequestError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(answer, range(16))) == 1
    for db in databases:
        db.close()


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(("try", "approve", "approve for a time", "deny", "wait")), st.sampled_from("ab")
    ),
    max_size=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(steps=_STEPS)
def test_no_try_passes_without_a_yes_of_its_own(tmp_path: Path, steps: list[tuple[str, str]]) -> None:
    asyncio.run(_play(tmp_path / f"{next(NUMBERS)}.db", steps))


async def _play(path: Path, steps: list[tuple[str, str]]) -> None:
    """Compare with the rules, written down as plainly as can be: yeses as (uses left, until)."""
    desk = Desk(path)
    yeses: dict[str, tuple[float, float]] = {}
    for step, name in steps:
        uses, until = yeses.get(name, (0, 0.0))
        request = next(
            (r for r in desk.approvals.list() if r.fingerprint == name and r.state == "open"), None
        )
        if step == "wait":
            desk.now += 601
        elif step == "try":
            passes = uses > 0 and desk.now < until
            assert await desk.outcome(ask(name)) == ("approved" if passes else "later")
            yeses[name] = (uses - 1 if passes else uses, until)
        elif request is not None and step == "deny":
            desk.approvals.deny(request.id)
        elif request is not None:
            once = step == "approve"
            desk.approvals.approve(request.id, "once" if once else "time", 10)
            yeses[name] = (1 if once else float("inf"), desk.now + 600)
    desk.close()
