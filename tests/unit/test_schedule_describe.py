"""Schedules in English (D-71)."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from jobs.rules.enums import ExpressionKind
from jobs.rules.schedule import parse

from .schedules import SAVED

CRON, RATE, DELAY, ISO = ExpressionKind


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (CRON, "0 0 12 * * ?", "at 12:00 every day"),
        (CRON, "0 9,18 * * 0", "at 09:00 and 18:00 on Sun"),
        (CRON, "30 0 9 * * ?", "at 09:00:30 every day"),
        (CRON, "0 0 * * * ?", "at minute 0 of every hour every day"),
        (CRON, "0 0/15 9-17 ? * MON-FRI", "every 15 minutes of hour 9-17 on Mon-Fri"),
        (CRON, "*/10 * * * * ?", "every 10 seconds every day"),
        (CRON, "30 */5 * * * ?", "at second 30 every 5 minutes every day"),
        (CRON, "* * * * * ?", "every second every day"),
        (CRON, "0 12 13 * FRI", "at 12:00 on day 13 of the month or Fri"),
        (CRON, "0 12 */16 * MON", "at 12:00 on day 1 and 17 of the month if it is Mon"),
        (CRON, "0 0 3 L,15W * ?", "at 03:00 on the last day and the workday nearest to day 15"),
        (CRON, "0 0 3 L-1W * ?", "at 03:00 on the workday nearest to the 2nd last day"),
        (
            CRON,
            "0 0 12 ? * MON#1,FRIL",
            "on the 1st Mon of the month and the last Fri of the month",
        ),
        (CRON, "0 0 0 1 1,3-6 ? 2027", "at 00:00 on day 1 of the month in Jan and Mar-Jun in 2027"),
        (RATE, "h(2)", "every 2 hours"),
        (RATE, "d('2026-01-01 03:00:00',1)", "every day, from 2026-01-01 03:00:00"),
        (DELAY, "m(1)", "1 minute after the previous run ended"),
        (DELAY, "m(30)", "30 minutes after the previous run ended"),
        (
            ISO,
            "R5/2026-01-01T03:00:00Z/P1DT12H",
            "every 1 day 12 hours, 5 times, from 2026-01-01 11",
        ),
        (ISO, "R1/2026-01-01T03:00:00/P1M", "every 1 month, 1 time, from 2026-01-01 03:00:00"),
    ],
)
def test_a_schedule_reads_as_a_sentence(kind: ExpressionKind, text: str, sentence: str) -> None:
    described = parse(kind, text, zone=ZoneInfo("Asia/Shanghai"), saved_at=SAVED).describe()

    assert sentence in described
    assert described.endswith(", Asia/Shanghai")
