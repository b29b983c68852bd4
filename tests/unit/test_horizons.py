"""How far a job's history may leave, judged without a database (X-33)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobs.rules.offsets import parse_offset
from tasks_app.rules.horizons import Link, Stand, horizon, upstreams_first, with_upstreams
from tasks_app.rules.retention import days_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)


def on(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=SHANGHAI)


OLD = Stand(begins_at=on(1), cutoff=on(20), needed_from=on(30))


@pytest.mark.parametrize(
    ("stand", "looked_at_from", "oldest", "expected"),
    [
        pytest.param(OLD, [], on(2), on(20), id="by age"),
        pytest.param(replace(OLD, cutoff=None), [], on(2), on(1), id="for ever"),
        pytest.param(replace(OLD, needed_from=on(9)), [], on(2), on(9), id="up to what is needed"),
        pytest.param(OLD, [on(15), on(12)], on(2), on(12), id="up to what dependents look at"),
        pytest.param(replace(OLD, begins_at=on(25)), [], on(2), on(25), id="never back"),
        pytest.param(replace(OLD, needed_from=on(1) - DAY), [], on(2), on(1), id="needed before"),
        pytest.param(
            replace(OLD, begins_at=on(20) - timedelta(minutes=9)),
            [],
            None,
            on(20) - timedelta(minutes=9),
            id="not for nothing",
        ),
        pytest.param(OLD, [], None, on(20), id="by a good step for nothing"),
    ],
)
def test_a_horizon_moves_up_to_what_somebody_needs(
    stand: Stand, looked_at_from: list[datetime], oldest: datetime | None, expected: datetime
) -> None:
    assert horizon(stand, looked_at_from, oldest) == expected


def link(job_id: int, upstream_id: int, offset: str = "cd") -> Link:
    return Link(job_id, upstream_id, parse_offset(offset), SHANGHAI)


def test_a_link_looks_back_as_far_as_its_window() -> None:
    assert link(2, 1, "d(-3)").looks_from(on(20, 5)) == on(17)
    assert link(2, 1, "").looks_from(on(20, 5)) == on(20, 5)


def test_upstreams_come_first() -> None:
    assert upstreams_first([1, 2, 3], [link(1, 2), link(2, 3)]) == [3, 2, 1]


def test_a_job_keeps_its_history_as_long_as_all_that_it_waits_for() -> None:
    """D-36: their repaired and late runs name its own."""
    links = {2: [link(2, 1)], 3: [link(3, 2)], 4: [link(4, 2)]}
    stands = {
        1: replace(OLD, cutoff=on(10), needed_from=on(5), unsettled_from=on(5)),
        2: replace(OLD, cutoff=on(15)),
        3: OLD,
        4: replace(OLD, cutoff=on(3)),
    }

    found = with_upstreams(stands, links, [1, 2, 3, 4])

    assert [found[job_id].cutoff for job_id in (1, 2, 3, 4)] == [on(10), on(10), on(10), on(3)]
    assert {found[job_id].needed_from for job_id in (1, 2, 3, 4)} == {on(5)}
    for_ever = stands | {1: replace(OLD, cutoff=None)}
    assert with_upstreams(for_ever, links, [1, 2, 3, 4])[3].cutoff is None


def test_the_narrowest_key_says_for_how_many_days() -> None:
    table = {"*": 90, "billing": 30, "billing/report": 365}

    assert days_of(table, "billing", "report") == 365
    assert days_of(table, "billing", "other") == 30
    assert days_of(table, "x", "report") == 90
    assert days_of({"billing": 30}, "x", "report") is None
