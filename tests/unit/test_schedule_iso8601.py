"""ISO 8601 repeating intervals (D-18)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.rules.enums import ExpressionKind

from .schedules import SAVED, schedule, slots, slots_back

ISO = ExpressionKind.ISO8601


def test_the_count_is_the_number_of_runs_with_the_start_included() -> None:
    """D-18."""
    interval = schedule(ISO, "R3/2026-03-02T09:00:00/P1D")
    days = [f"2026-03-0{day}T09:00:00+00:00" for day in (2, 3, 4)]

    assert slots(interval, "UTC", "2026-01-01T00:00:00", 9) == days
    assert slots_back(interval, "UTC", "2027-01-01T00:00:00", 9) == days[::-1]


def test_without_a_count_it_never_ends() -> None:
    """D-18."""
    interval = schedule(ISO, "R/2026-03-02T09:00:00/P1D")

    assert interval.after(datetime(2999, 1, 1, tzinfo=UTC)) is not None


def test_without_a_start_the_saving_instant_is_the_first_run() -> None:
    """D-18."""
    interval = schedule(ISO, "R2//PT30M", saved_at=SAVED)

    found = list(interval.between(SAVED, SAVED + timedelta(days=1)))

    assert found == [SAVED, SAVED + timedelta(minutes=30)]


@pytest.mark.parametrize(
    ("duration", "second", "third"),
    [
        ("PT1S", "2026-01-31T12:00:01", "2026-01-31T12:00:02"),
        ("PT1H30M", "2026-01-31T13:30:00", "2026-01-31T15:00:00"),
        ("P2W", "2026-02-14T12:00:00", "2026-02-28T12:00:00"),
        ("P1M", "2026-02-28T12:00:00", "2026-03-31T12:00:00"),
        ("P1M1D", "2026-03-01T12:00:00", "2026-04-02T12:00:00"),
        ("P1Y2M3DT4H5M6S", "2027-04-03T16:05:06", "2028-06-06T20:10:12"),
        ("P0Y0M1D", "2026-02-01T12:00:00", "2026-02-02T12:00:00"),
        ("P1DT24H", "2026-02-02T12:00:00", "2026-02-04T12:00:00"),
    ],
)
def test_durations_mix_years_to_seconds_and_are_counted_from_the_start(
    duration: str, second: str, third: str
) -> None:
    """D-18."""
    interval = schedule(ISO, f"R/2026-01-31T12:00:00/{duration}")

    found = slots(interval, "UTC", "2026-01-31T12:00:00", 2)

    assert found == [f"{second}+00:00", f"{third}+00:00"]


@pytest.mark.parametrize(
    ("start", "instant"),
    [
        pytest.param("2026-03-02T09:00:00", "2026-03-02T01:00:00", id="the job's zone"),
        pytest.param("2026-03-02T09:00", "2026-03-02T01:00:00", id="without seconds"),
        pytest.param("2026-03-02T09:00:00Z", "2026-03-02T09:00:00", id="Z"),
        pytest.param("2026-03-02T09:00:00+05:30", "2026-03-02T03:30:00", id="an offset"),
    ],
)
def test_a_start_may_carry_an_offset(start: str, instant: str) -> None:
    """D-18."""
    interval = schedule(ISO, f"R1/{start}/P1D", "Asia/Shanghai")

    assert slots(interval, "UTC", "2026-01-01T00:00:00", 2) == [f"{instant}+00:00"]
