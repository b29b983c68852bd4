"""What is refused, how quickly, and with which words (D-14, D-16, D-18, D-71)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from zoneinfo import ZoneInfo

import pytest

from jobs.rules.enums import ExpressionKind
from jobs.rules.schedule import Delay, parse_live
from sentinel_project.errors import InvalidParameters

from .schedules import refused, schedule

CRON, RATE, DELAY, ISO = ExpressionKind
NOW = datetime(2026, 3, 2, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "has 0 fields, it needs 5, 6 or 7", id="nothing"),
        pytest.param("0 12 * *", "has 4 fields", id="four fields"),
        pytest.param("0 0 12 * * ? * *", "has 8 fields", id="eight fields"),
        pytest.param("@daily", "has 1 fields", id="a nickname"),
        pytest.param("0 0 24 * * ?", "field 3 (hour) at position 5, '24'", id="too late"),
        pytest.param("60 0 1 * * ?", "60 is not within 0-59", id="second 60"),
        pytest.param("0 0 12 0 * ?", "0 is not within 1-31", id="day 0"),
        pytest.param("0 0 12 1 13 ?", "13 is not within 1-12", id="month 13"),
        pytest.param("0 0 * * 8", "8 is not within 1-7", id="weekday 8"),
        pytest.param("0 0 12 1 1 ? 1969", "1969 is not within 1970-2099", id="year 1969"),
        pytest.param("0, 0 12 * * ?", "an item of the list is empty", id="a comma at the end"),
        pytest.param("0 ,5 12 * * ?", "field 2 (minute)", id="a comma at the start"),
        pytest.param("0 0/0 12 * * ?", "the step of '0/0'", id="a step of 0"),
        pytest.param("0 0/-1 12 * * ?", "the step of", id="a negative step"),
        pytest.param("0 1/2/3 12 * * ?", "more than one slash", id="two slashes"),
        pytest.param("0 5- 12 * * ?", "cut off", id="half a range"),
        pytest.param("0 -5 12 * * ?", "cut off", id="a negative number"),
        pytest.param("0 1-2-3 12 * * ?", "cannot be read", id="two dashes"),
        pytest.param("0 1.5 12 * * ?", "cannot be read", id="half a minute"),
        pytest.param("0 ٣ 12 * * ?", "cannot be read", id="a digit that is not ASCII"),
        pytest.param("? 0 12 * * ?", '"?" has no meaning in a second', id="? as a second"),
        pytest.param("0 12 ? * *", "in the five-field form", id="? in five fields"),
        pytest.param("0 0 12 ?,1 * *", "cannot be read", id="? in a list"),
        pytest.param("0 0 12 1 MON ?", "'MON' is no name of a month", id="a weekday as a month"),
        pytest.param("0 0 12 ? * MONDAY", "cannot be read", id="a long name"),
        pytest.param("0 22-2 * * *", "runs backwards", id="hours that wrap in five fields"),
        pytest.param("0 12 * NOV-FEB *", "runs backwards", id="months that wrap in five fields"),
        pytest.param("0 12 * * 7-2", "runs backwards", id="a numbered week that wraps in five"),
        pytest.param("0 0 12 1 1 ? 2030-2028", "in a year", id="years that wrap"),
        pytest.param("0 0 12 ? * L", '"L" is ambiguous, write SAT', id="a bare weekday L"),
        pytest.param("0 0 12 L-31 * ?", "31 is not within 0-30", id="before every month"),
        pytest.param("0 0 12 32W * ?", "32 is not within 1-31", id="no such workday"),
        pytest.param("0 0 12 0L * ?", "0 is not within 1-31", id="the 0th last day"),
        pytest.param("0 0 12 W * ?", "cannot be read", id="W alone"),
        pytest.param("0 0 12 1-5W * ?", "cannot be read", id="W after a range"),
        pytest.param("0 0 12 L/2 * ?", "cannot be read", id="a step from L"),
        pytest.param("0 0 12 ? * MON#6", "6 is not within 1-5", id="the sixth Monday"),
        pytest.param("0 0 12 ? * MON#0", "0 is not within 1-5", id="the zeroth Monday"),
        pytest.param("0 0 12 * * 5W", "cannot be read", id="W in a weekday"),
        pytest.param("R R * * *", "cannot be read", id="R"),
        pytest.param("0 H 12 * * ?", "cannot be read", id="H"),
        pytest.param("0 0 12 1 * MON", "change the one you do not mean to ?", id="two day fields"),
        pytest.param("0 0 12 ? * ?", "change the day of month to *", id="no day field"),
    ],
)
def test_cron_says_what_is_wrong_and_where(text: str, words: str) -> None:
    """D-14, D-71."""
    message = refused(CRON, text)

    assert words in message
    assert "a correct example: 0 " in message


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        pytest.param(RATE, "", "does not read unit(n)", id="nothing"),
        pytest.param(RATE, " h(2)", "unit ' h'", id="a blank before"),
        pytest.param(RATE, "h(2) ", "does not read unit(n)", id="a blank behind"),
        pytest.param(RATE, "H(1)", "use one of s m h d w M y", id="an unknown unit"),
        pytest.param(RATE, "s(0)", "whole number from 1 on", id="zero"),
        pytest.param(RATE, "s(-3)", "whole number from 1 on", id="negative"),
        pytest.param(RATE, "h(1.5)", "whole number from 1 on", id="a fraction"),
        pytest.param(RATE, "h(٣)", "whole number from 1 on", id="a digit that is not ASCII"),
        pytest.param(RATE, "d(99999999999)", "longer than 1000 years", id="far too long"),
        pytest.param(RATE, "m('2015-01-01 12:00',10)", "yyyy-MM-dd HH:mm:ss", id="no seconds"),
        pytest.param(RATE, "d('2015-1-1 0:0:0',1)", "yyyy-MM-dd HH:mm:ss", id="single digits"),
        pytest.param(RATE, "d('2015-02-29 00:00:00',1)", "day is out of range", id="no such day"),
        pytest.param(RATE, "d('2015-01-01 00:00:00', 1)", "n is ' 1'", id="a blank inside"),
        pytest.param(DELAY, "m(0)", "whole number from 1 on", id="a delay of nothing"),
        pytest.param(ISO, "P1D", "has 1 parts between slashes", id="a duration alone"),
        pytest.param(ISO, "R5/P1D", "has 2 parts between slashes", id="a slash is missing"),
        pytest.param(ISO, "R0/2026-03-02T00:00:00/P1D", "no runs at all", id="R0"),
        pytest.param(ISO, "R-1/2026-03-02T00:00:00/P1D", "part 1", id="a negative count"),
        pytest.param(ISO, "R/2026-03-02/P1D", "part 2", id="a date alone"),
        pytest.param(ISO, "R/20260302T000000/P1D", "part 2", id="the basic format"),
        pytest.param(ISO, "R/2026-02-30T00:00:00/P1D", "day is out of range", id="30 February"),
        pytest.param(ISO, "R/2026-03-02T00:00:00.5/P1D", "part 2", id="a fraction in the start"),
        pytest.param(ISO, "R/2026-03-02T00:00:00/P", "part 3", id="an empty duration"),
        pytest.param(ISO, "R/2026-03-02T00:00:00/PT", "part 3", id="an empty time"),
        pytest.param(ISO, "R/2026-03-02T00:00:00/P1DT", "part 3", id="an empty time behind"),
        pytest.param(ISO, "R/2026-03-02T00:00:00/P0D", "no time at all", id="a zero duration"),
        pytest.param(ISO, "R/2026-03-02T00:00:00/-P1D", "part 3", id="a negative duration"),
        pytest.param(ISO, "R/2026-03-02T00:00:00/PT0.5S", "part 3", id="half a second"),
        pytest.param(ISO, "R/2026-03-02T00:00:00/P1W1D", "weeks alone", id="weeks and days"),
        pytest.param(ISO, "R/2026-03-02T00:00:00/P999999999999D", "1000 years", id="overflow"),
        pytest.param(ISO, "R/2026-03-02T00:00:00/ P1D", "part 3", id="a blank"),
    ],
)
def test_rates_delays_and_intervals_say_what_is_wrong(
    kind: ExpressionKind, text: str, words: str
) -> None:
    """D-12a, D-16, D-17, D-18, D-20."""
    message = refused(kind, text)

    assert words in message
    assert "a correct example: " in message


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(CRON, "0 0 12 30 2 ?", id="30 February"),
        pytest.param(CRON, "0 0 31 4,6,9,11 *", id="the 31st of short months"),
        pytest.param(CRON, "0 0 0 29 2 ? 2027", id="29 February of a plain year"),
        pytest.param(CRON, "0 0 0 1 1 ? 2015", id="a past year"),
        pytest.param(ISO, "R2/2020-01-01T00:00:00/P1D", id="a past series"),
    ],
)
def test_what_never_fires_again_is_refused_when_it_is_saved(
    kind: ExpressionKind, text: str
) -> None:
    """D-14."""
    with pytest.raises(InvalidParameters, match=r"never fires .*; a correct example"):
        parse_live(kind, text, zone=ZONE, saved_at=NOW, now=NOW)


@pytest.mark.parametrize(
    ("kind", "text"), [(CRON, "0 0 0 1 1 ? 2015"), (ISO, "R2/2020-01-01T00:00:00/P1D")]
)
def test_what_was_saved_is_still_read_when_it_is_over(kind: ExpressionKind, text: str) -> None:
    """A stored expression must stay readable: its slots of the past can be rerun (D-51)."""
    over = schedule(kind, text)

    assert over.after(NOW) is None
    assert over.before(NOW) is not None


def test_an_interval_whose_only_run_is_the_saving_instant_is_alive() -> None:
    """D-23: a slot exactly at the floor belongs."""
    once = parse_live(ISO, "R1//PT1S", zone=ZONE, saved_at=NOW, now=NOW)

    assert once.text == "R1//PT1S"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(CRON, "," * 100_000, id="100 KB of commas"),
        pytest.param(CRON, " " * 100_000, id="100 KB of blanks"),
        pytest.param(CRON, "0 " * 50_000, id="50,000 fields"),
        pytest.param(CRON, "0 0 12 * * " + "1-" * 500, id="a long range"),
        pytest.param(CRON, "," * 1_000 + " 0 12 * * ?", id="as many commas as may be"),
        pytest.param(CRON, "0 0 12 30 2 ?", id="30 February"),
        pytest.param(CRON, "0 0 12 L-30 2 ?", id="before February"),
        pytest.param(CRON, "0 0 0 1 1 ? 9999", id="the year 9999"),
        pytest.param(RATE, "s(" + "9" * 100_000 + ")", id="100,000 digits"),
        pytest.param(RATE, "s(" + "9" * 1_000 + ")", id="1,000 digits"),
        pytest.param(ISO, "R999999999/…", id="a huge count of nothing"),
        pytest.param(ISO, "R/9999-12-31T00:00:00/P1D", id="an interval from the year 9999"),
        pytest.param(ISO, "R/" * 50_000, id="50,000 slashes"),
        pytest.param(ISO, "R//P" + "1" * 900 + "D", id="a long number"),
    ],
)
def test_absurd_texts_are_refused_by_little_work(kind: ExpressionKind, text: str) -> None:
    """Milliseconds, counted in calls: no text makes anybody walk through the calendar."""
    assert calls_of(lambda: _refused_live(kind, text)) < MOST_CALLS


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(ISO, "R999999999//PT1S", id="a billion seconds"),
        pytest.param(ISO, "R999999999/0001-01-01T00:00:00/P1Y", id="a billion years"),
        pytest.param(ISO, "R/0001-01-01T00:00:00/PT1S", id="every second since the year 1"),
        pytest.param(RATE, "M('0001-01-01 00:00:00',1)", id="every month since the year 1"),
        pytest.param(CRON, "0 0 0 29 2 ? 1972/8", id="rarely"),
    ],
)
def test_the_ends_of_a_long_series_are_found_by_little_work(
    kind: ExpressionKind, text: str
) -> None:
    """D-11: wherever one asks, the lattice answers without counting through it."""
    late = datetime(9000, 1, 1, tzinfo=UTC)

    def ask() -> None:
        series = parse_live(kind, text, zone=ZONE, saved_at=NOW, now=NOW)
        assert not isinstance(series, Delay)
        assert series.before(late) is not None
        assert series.after(NOW) is not None

    assert calls_of(ask) < MOST_CALLS


def test_reading_a_list_costs_the_same_for_each_item() -> None:
    """Linear: twice the items more, twice the work more."""

    def work(items: int) -> int:
        return calls_of(lambda: schedule(CRON, "0," * items + "0 0 12 * * ?"))

    work(10)  # whatever is done once in a process
    few, some, many = work(100), work(200), work(400)

    assert many - some <= 2.5 * (some - few)


#: A plain expression takes a tenth of it.
MOST_CALLS = 50_000


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions ``work`` calls, built-in ones included."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += 1

    former = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(former)
    return count // 2


def _refused_live(kind: ExpressionKind, text: str) -> None:
    with pytest.raises(InvalidParameters, match="a correct example: "):
        parse_live(kind, text, zone=ZONE, saved_at=NOW, now=NOW)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (CRON, "* * * * * ?"),
        (CRON, "0 0 12 L * ?"),
        (RATE, "d('2026-01-01 00:00:00',1)"),
        (RATE, "s(1)"),
        (ISO, "R//P1Y"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_ends_of_the_calendar_raise_nothing(kind: ExpressionKind, text: str, zone: str) -> None:
    """Slots stay far enough inside to have a wall time in every zone."""
    series = schedule(kind, text, zone)
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

    assert series.before(first) is None
    assert series.after(last) is None
    assert list(series.between(last, last)) == []
    for found in (series.after(first), series.before(last)):
        assert found is not None
        assert found.astimezone(ZoneInfo(zone)).tzinfo is not None
