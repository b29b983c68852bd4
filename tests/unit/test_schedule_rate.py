"""Rates and delays: n units from an anchor, or from the end of a run (D-16, D-17)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobs.rules.enums import ExpressionKind
from jobs.rules.schedule import Delay, needs_anchor, parse

from .schedules import SAVED, refused, schedule, slots, slots_back

RATE = ExpressionKind.RATE
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("unit", "first", "second"),
    [
        ("s", "2026-01-31T12:00:02", "2026-01-31T12:00:04"),
        ("m", "2026-01-31T12:02:00", "2026-01-31T12:04:00"),
        ("h", "2026-01-31T14:00:00", "2026-01-31T16:00:00"),
        ("d", "2026-02-02T12:00:00", "2026-02-04T12:00:00"),
        ("w", "2026-02-14T12:00:00", "2026-02-28T12:00:00"),
        ("M", "2026-03-31T12:00:00", "2026-05-31T12:00:00"),
        ("y", "2028-01-31T12:00:00", "2030-01-31T12:00:00"),
    ],
)
def test_slots_are_n_units_apart(unit: str, first: str, second: str) -> None:
    """D-16."""
    rate = schedule(RATE, f"{unit}('2026-01-31 12:00:00',2)")

    found = slots(rate, "UTC", "2026-01-31T12:00:00", 2)

    assert found == [f"{first}+00:00", f"{second}+00:00"]


def test_a_written_start_is_a_slot() -> None:
    """D-16."""
    rate = schedule(RATE, "d('2030-01-01 12:00:00',5)")

    assert slots(rate, "UTC", "2026-01-01T00:00:00", 1) == ["2030-01-01T12:00:00+00:00"]
    assert slots_back(rate, "UTC", "2030-01-01T12:00:00", 1) == []


def test_without_a_start_the_first_slot_is_one_period_after_saving() -> None:
    """D-16."""
    saved = datetime(2026, 3, 2, 9, 10, tzinfo=UTC)
    rate = schedule(RATE, "h(2)", saved_at=saved)

    assert rate.after(saved - timedelta(days=1)) == saved + timedelta(hours=2)
    assert rate.before(saved + timedelta(hours=2)) is None


def test_the_lattice_never_drifts_from_the_anchor() -> None:
    """D-16: whenever it is asked, also long after."""
    saved = datetime(2026, 3, 2, 9, 10, 0, 500_000, tzinfo=UTC)
    rate = schedule(RATE, "m(7)", saved_at=saved)

    later = rate.after(saved + timedelta(days=4_000))

    assert later is not None
    assert (later - saved) % timedelta(minutes=7) == timedelta()


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        pytest.param(
            "M('2026-01-31 09:00:00',1)",
            "2026-01-31T09:00:00",
            ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"],
            id="the end of February does not stick",
        ),
        pytest.param(
            "y('2024-02-29 09:00:00',1)",
            "2024-02-29T09:00:00",
            ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"],
            id="nor in years",
        ),
        pytest.param(
            "M('2015-11-30 09:00:00',3)",
            "2015-11-30T09:00:00",
            ["2016-02-29", "2016-05-30"],
            id="several months",
        ),
    ],
)
def test_months_are_counted_from_the_anchor(text: str, start: str, expected: list[str]) -> None:
    """D-16."""
    found = slots(schedule(RATE, text), "UTC", start, len(expected))

    assert found == [f"{day}T09:00:00+00:00" for day in expected]


def test_a_start_is_wall_time_of_the_jobs_zone() -> None:
    """D-10, D-16."""
    rate = schedule(RATE, "d('2026-01-01 00:00:00',1)", "Asia/Shanghai")

    assert rate.after(SAVED) == datetime(2026, 1, 1, 16, tzinfo=UTC)


def test_a_rate_runs_out_with_the_calendar_and_not_with_an_error() -> None:
    rate = schedule(RATE, "y('2026-01-01 00:00:00',1000)")

    found = slots(rate, "UTC", "2026-01-01T00:00:00", 20)

    assert [slot[:4] for slot in found] == [str(year) for year in range(3026, 10_000, 1000)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s(90)", "2026-01-31T10:01:30+08:00"),
        ("m(5)", "2026-01-31T10:05:00+08:00"),
        ("h(30)", "2026-02-01T16:00:00+08:00"),
        ("d(1)", "2026-02-01T10:00:00+08:00"),
        ("w(1)", "2026-02-07T10:00:00+08:00"),
        ("M(1)", "2026-02-28T10:00:00+08:00"),
        ("y(1)", "2027-01-31T10:00:00+08:00"),
    ],
)
def test_a_delay_is_due_n_units_after_the_end_of_a_run(text: str, expected: str) -> None:
    """D-17."""
    ended = datetime(2026, 1, 31, 10, tzinfo=SHANGHAI)

    assert _delay(text).after_end(ended) == datetime.fromisoformat(expected)


def test_a_delay_of_days_keeps_the_wall_time() -> None:
    """D-15, D-17."""
    zone = ZoneInfo("America/New_York")
    ended = datetime(2026, 3, 7, 12, tzinfo=zone)

    assert _delay("d(1)", zone).after_end(ended) == datetime(2026, 3, 8, 12, tzinfo=zone)


def test_a_delay_takes_no_start() -> None:
    """D-17."""
    assert "no start" in refused(ExpressionKind.DELAY, "h('2026-01-01 00:00:00',1)")


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (RATE, "h(2)", True),
        (RATE, "h('2026-01-01 00:00:00',2)", False),
        (ExpressionKind.DELAY, "h(2)", True),
        (ExpressionKind.ISO8601, "R//PT1H", True),
        (ExpressionKind.ISO8601, "R/2026-01-01T00:00:00/PT1H", False),
        (ExpressionKind.CRON, "0 0 12 * * ?", False),
    ],
)
def test_the_saving_instant_matters_where_no_start_is_written(
    kind: ExpressionKind, text: str, expected: bool
) -> None:
    """D-16, D-17, D-18."""
    assert needs_anchor(kind, text) is expected


def _delay(text: str, zone: ZoneInfo = SHANGHAI) -> Delay:
    delay = parse(ExpressionKind.DELAY, text, zone=zone, saved_at=SAVED)
    assert isinstance(delay, Delay)
    return delay
