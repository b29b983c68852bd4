"""Gaps and folds: what clocks that change do to cron, rates and ISO intervals (D-15)."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobs.rules.enums import ExpressionKind
from jobs.rules.schedule.walltime import clock_change

from .schedules import cron, schedule, slots, slots_back

BERLIN = "Europe/Berlin"  # gap 2026-03-29 02:00-03:00, fold 2026-10-25 02:00-03:00
NEW_YORK = "America/New_York"  # gap 2026-03-08 02:00-03:00, fold 2026-11-01 01:00-02:00
LORD_HOWE = "Australia/Lord_Howe"  # half an hour: gap 2026-10-04 02:00, fold 2026-04-05 01:30-02:00
SAO_PAULO = "America/Sao_Paulo"  # gap 2018-11-04 00:00-01:00, fold 2018-02-17 23:00-24:00
APIA = "Pacific/Apia"  # 2011-12-30 did not take place
SHANGHAI = "Asia/Shanghai"  # none since 1991, a gap on 1986-05-04 02:00-03:00

# zone, expression, wall time to look from, what comes
WALL_TIMES = [
    pytest.param(
        BERLIN,
        "0 30 2 * * ?",
        "2026-03-28T12:00",
        ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
        id="Berlin, in the gap: at the first instant after it",
    ),
    pytest.param(
        BERLIN,
        "0 30 2 * * ?",
        "2026-10-24T12:00",
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
        id="Berlin, in the fold: once, the first time",
    ),
    pytest.param(
        NEW_YORK,
        "0 0/30 2 * * ?",
        "2026-03-08T00:30",
        ["2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"],
        id="New York, two in the gap: equal instants are one slot",
    ),
    pytest.param(
        NEW_YORK,
        "0 0,30 2,3 * * ?",
        "2026-03-08T01:00",
        ["2026-03-08T03:00:00-04:00", "2026-03-08T03:30:00-04:00", "2026-03-09T02:00:00-04:00"],
        id="New York, one in the gap and one at its end: one slot",
    ),
    pytest.param(
        NEW_YORK,
        "*/30 1 * * *",
        "2026-11-01T00:30",
        ["2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-02T01:00:00-05:00"],
        id="New York, several in the fold: each once",
    ),
    pytest.param(
        NEW_YORK,
        "0 */2 * * *",
        "2026-10-31T23:30",
        ["2026-11-01T00:00:00-04:00", "2026-11-01T02:00:00-05:00", "2026-11-01T04:00:00-05:00"],
        id="New York, every other hour: wall time",
    ),
    pytest.param(
        NEW_YORK,
        "30 1 * * *",
        "2026-11-01T01:10-05:00",
        ["2026-11-02T01:30:00-05:00"],
        id="New York, looking from the second pass: that day is done",
    ),
    pytest.param(
        LORD_HOWE,
        "15 2 * * *",
        "2026-10-03T12:00",
        ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"],
        id="Lord Howe, a gap of half an hour",
    ),
    pytest.param(
        LORD_HOWE,
        "0 45 1 * * ?",
        "2026-04-04T12:00",
        ["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"],
        id="Lord Howe, a fold of half an hour",
    ),
    pytest.param(
        SAO_PAULO,
        "0 0 * * *",
        "2018-11-03T12:00",
        ["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"],
        id="Sao Paulo, no midnight",
    ),
    pytest.param(
        SAO_PAULO,
        "30 23 * * *",
        "2018-02-17T12:00",
        ["2018-02-17T23:30:00-02:00", "2018-02-18T23:30:00-03:00"],
        id="Sao Paulo, the hour before midnight twice",
    ),
    pytest.param(
        APIA,
        "0 0 12 * * ?",
        "2011-12-29T00:00",
        ["2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"],
        id="Apia, the day that did not take place is a gap",
    ),
    pytest.param(
        SHANGHAI,
        "30 2 * * *",
        "1986-05-03T12:00",
        ["1986-05-04T03:00:00+09:00", "1986-05-05T02:30:00+09:00"],
        id="Shanghai had gaps too",
    ),
]
ELAPSED_TIME = [
    pytest.param(
        BERLIN,
        "0 0 * * * ?",
        "2026-03-29T00:30",
        ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"],
        id="Berlin, no slot in the gap and none late",
    ),
    pytest.param(
        BERLIN,
        "30 * * * *",
        "2026-10-25T01:45",
        ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"],
        id="Berlin, both passes of the fold",
    ),
    pytest.param(
        NEW_YORK,
        "0 0 0-23 * * ?",
        "2026-11-01T00:30",
        ["2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00"],
        id="New York, 0-23 covers the day as * does",
    ),
    pytest.param(
        NEW_YORK,
        "0 30 0/1 8 3 ?",
        "2026-03-08T01:00",
        ["2026-03-08T01:30:00-05:00", "2026-03-08T03:30:00-04:00"],
        id="New York, so does 0/1",
    ),
    pytest.param(
        LORD_HOWE,
        "0 0/15 * * * ?",
        "2026-04-05T01:40+11:00",
        ["2026-04-05T01:45:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T01:45:00+10:30"],
        id="Lord Howe, half an hour again",
    ),
    pytest.param(
        SAO_PAULO,
        "0 0/30 * 17 2 ?",
        "2018-02-17T22:45",
        [
            "2018-02-17T23:00:00-02:00",
            "2018-02-17T23:30:00-02:00",
            "2018-02-17T23:00:00-03:00",
            "2018-02-17T23:30:00-03:00",
            "2019-02-17T00:00:00-03:00",
        ],
        id="Sao Paulo, the last hour of a day twice and then nothing for a year",
    ),
    pytest.param(
        APIA,
        "0 * * * *",
        "2011-12-29T22:30",
        ["2011-12-29T23:00:00-10:00", "2011-12-31T00:00:00+14:00"],
        id="Apia, one hour later it is the day after tomorrow",
    ),
]


@pytest.mark.parametrize(("zone", "text", "start", "expected"), WALL_TIMES + ELAPSED_TIME)
def test_cron_in_gaps_and_folds(zone: str, text: str, start: str, expected: list[str]) -> None:
    """D-15."""
    assert slots(cron(text, zone), zone, start, len(expected)) == expected


@pytest.mark.parametrize(("zone", "text", "start", "expected"), WALL_TIMES + ELAPSED_TIME)
def test_looking_back_mirrors_looking_ahead(
    zone: str, text: str, start: str, expected: list[str]
) -> None:
    """D-11, D-15."""
    expression = cron(text, zone)
    after_them = expression.after(datetime.fromisoformat(expected[-1]))
    assert after_them is not None

    found = slots_back(expression, zone, after_them.isoformat(), len(expected))

    assert found == expected[::-1]


@pytest.mark.parametrize("minutes", range(0, 90, 15))
@pytest.mark.parametrize("text", ["0 * */2 * * ?", "0 */20 0-3 * * ?", "0 30 1 * * ?"])
@pytest.mark.parametrize(
    ("zone", "changed_at"),
    [
        ("America/St_Johns", "2006-10-29T02:31Z"),  # from one minute past midnight
        (NEW_YORK, "2026-11-01T06:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00Z"),  # by half an hour
    ],
)
def test_looking_back_from_a_repeated_hour_finds_the_last_slot_before_it(
    zone: str, changed_at: str, text: str, minutes: int
) -> None:
    """D-11: also where wall times of before the change are later than the one looked from."""
    expression = cron(text, zone)
    instant = datetime.fromisoformat(changed_at) + timedelta(minutes=minutes)
    last = instant - timedelta(days=2)
    while (slot := expression.after(last)) is not None and slot < instant:
        last = slot

    assert expression.before(instant) == last


@pytest.mark.parametrize(
    ("text", "zone", "start", "expected"),
    [
        pytest.param(
            "d('2026-03-07 02:30:00',1)",
            NEW_YORK,
            "2026-03-07T12:00",
            ["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"],
            id="a day keeps the wall time, and the gap leaves no trace",
        ),
        pytest.param(
            "h('2026-03-07 12:00:00',24)",
            NEW_YORK,
            "2026-03-07T12:00",
            ["2026-03-08T13:00:00-04:00", "2026-03-09T13:00:00-04:00"],
            id="24 hours do not",
        ),
        pytest.param(
            "d('2026-10-31 01:30:00',1)",
            NEW_YORK,
            "2026-10-31T12:00",
            ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"],
            id="in a fold, the first time",
        ),
        pytest.param(
            "M('2026-02-08 02:30:00',1)",
            NEW_YORK,
            "2026-02-08T12:00",
            ["2026-03-08T03:00:00-04:00", "2026-04-08T02:30:00-04:00"],
            id="months",
        ),
        pytest.param(
            "d('2011-12-29 12:00:00',1)",
            APIA,
            "2011-12-29T12:00",
            ["2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"],
            id="the day that did not take place",
        ),
        pytest.param(
            "h('2026-03-08 02:30:00',1)",
            NEW_YORK,
            "2026-03-08T00:00",
            ["2026-03-08T03:00:00-04:00", "2026-03-08T04:00:00-04:00"],
            id="a start in the gap is the end of the gap",
        ),
    ],
)
def test_rates_in_gaps_and_folds(text: str, zone: str, start: str, expected: list[str]) -> None:
    """D-15, D-16."""
    rate = schedule(ExpressionKind.RATE, text, zone)

    assert slots(rate, zone, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "R/2026-10-31T12:00:00/P1D", ["2026-11-01T12:00:00-05:00"], id="a day is a wall day"
        ),
        pytest.param(
            "R/2026-10-31T12:00:00/PT24H", ["2026-11-01T11:00:00-05:00"], id="24 hours elapse"
        ),
        pytest.param(
            "R/2026-10-31T12:00:00/P1DT1H",
            ["2026-11-01T13:00:00-05:00"],
            id="first days, then hours",
        ),
        pytest.param(
            "R/2026-10-31T12:00:00-04:00/P1D",
            ["2026-11-01T11:00:00-05:00", "2026-11-02T11:00:00-05:00"],
            id="a given offset is kept for the arithmetic",
        ),
    ],
)
def test_iso_intervals_across_a_fold(text: str, expected: list[str]) -> None:
    """D-15, D-18."""
    interval = schedule(ExpressionKind.ISO8601, text, NEW_YORK)

    assert slots(interval, NEW_YORK, "2026-10-31T12:00", len(expected)) == expected


@pytest.mark.parametrize(
    ("zone", "at", "note"),
    [
        (BERLIN, "2026-03-29T12:00", "clocks go forward from 02:00 to 03:00 on this day"),
        (NEW_YORK, "2026-11-01T00:30", "clocks go back from 02:00 to 01:00 on this day"),
        (SAO_PAULO, "2018-11-04T09:00", "clocks go forward from 00:00 to 01:00 on this day"),
        (BERLIN, "2026-03-30T12:00", None),
        (SHANGHAI, "2026-03-29T12:00", None),
    ],
)
def test_a_day_on_which_clocks_change_is_pointed_out(zone: str, at: str, note: str | None) -> None:
    """D-71: the preview says so beside the slot."""
    moment = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone))

    assert clock_change(ZoneInfo(zone), moment) == note
