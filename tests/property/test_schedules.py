"""Schedules of every kind in many zones: strict, mirrored, and as a plain reckoning has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from jobs.rules.enums import ExpressionKind
from jobs.rules.offsets import parse_offset, truncate, window
from jobs.rules.schedule import Delay, Schedule, parse
from sentinel_project.errors import InvalidParameters

YEARS = (datetime.fromisoformat("2005-01-01"), datetime.fromisoformat("2035-01-01"))
ZONES = [
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "America/St_Johns",
    "Africa/Casablanca",
    "Asia/Kolkata",
]
# Where clocks change in these zones, so that the search does not have to find those days.
CHANGES = [
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2018, 2, 18, 2, tzinfo=UTC),
    datetime(2018, 11, 4, 3, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
    datetime(2006, 10, 29, 2, 31, tzinfo=UTC),
]

zones = st.sampled_from(ZONES).map(ZoneInfo)
instants = st.one_of(
    st.datetimes(*YEARS, timezones=st.just(UTC)),
    st.builds(
        lambda change, minutes: change + timedelta(minutes=minutes),
        st.sampled_from(CHANGES),
        st.integers(-36 * 60, 36 * 60),
    ),
)


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    """Return texts of one cron field: * , steps, and lists of values, ranges and stepped ranges."""
    values = st.integers(low, high)
    pairs = st.tuples(values, values).map(sorted)
    items = st.one_of(
        values.map(str),
        pairs.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.builds(lambda pair, n: f"{pair[0]}-{pair[1]}/{n}", pairs, st.integers(1, 9)),
    )
    lists = st.lists(items, min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), st.integers(2, 9).map("*/{}".format), lists)


month_days = st.one_of(
    _field(1, 31), st.sampled_from(["L", "L-3", "LW", "15W", "31W", "2L", "L-5W", "29-3"])
)
week_days = st.one_of(
    _field(1, 7), st.sampled_from(["FRI-MON", "MON#1", "5L", "SUN#5", "SAT-TUE/2", "0"])
)


@st.composite
def crons(draw: st.DrawFn) -> str:
    second = draw(st.sampled_from(["0", "30", "*/20", "0,59"]))
    minute, hour, month = draw(_field(0, 59)), draw(_field(0, 23)), draw(_field(1, 12))
    days = draw(st.one_of(month_days.map("{} {{}} ?".format), week_days.map("? {{}} {}".format)))
    return f"{second} {minute} {hour} {days.format(month)}"


rates = st.builds(
    lambda unit, start, n: f"{unit}('{start:%Y-%m-%d %H:%M:%S}',{n})",
    st.sampled_from("smhdwMy"),
    st.datetimes(*YEARS),
    st.integers(1, 400),
)
intervals = st.builds(
    lambda count, start, duration: f"R{count}/{start:%Y-%m-%dT%H:%M:%S}/{duration}",
    st.sampled_from(["", "1", "7", "5000"]),
    st.datetimes(*YEARS),
    st.sampled_from(["P1M", "P1D", "PT90M", "P1M1D", "P1DT1H", "P2W", "P1Y2M3DT4H5M6S", "PT45S"]),
)
expressions = st.one_of(
    crons().map(lambda text: (ExpressionKind.CRON, text)),
    rates.map(lambda text: (ExpressionKind.RATE, text)),
    intervals.map(lambda text: (ExpressionKind.ISO8601, text)),
)


def _schedule(expression: tuple[ExpressionKind, str], zone: ZoneInfo) -> Schedule:
    kind, text = expression
    parsed = parse(kind, text, zone=zone, saved_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert not isinstance(parsed, Delay)
    return parsed


@given(expressions, zones, instants)
def test_after_and_before_are_strict_and_inverse(
    expression: tuple[ExpressionKind, str], zone: ZoneInfo, at: datetime
) -> None:
    """D-11: on the lattice of slots, one step ahead and one back lead home."""
    schedule = _schedule(expression, zone)
    following, preceding = schedule.after(at), schedule.before(at)
    is_slot = schedule.after(at - timedelta(microseconds=1)) == at
    home = at if is_slot else None

    assert following is None or following > at
    assert preceding is None or preceding < at
    assert following is None or schedule.before(following) == (home or preceding)
    assert preceding is None or schedule.after(preceding) == (home or following)


@given(expressions, zones, instants, st.integers(1, 40 * 24 * 60))
def test_between_is_after_again_and_again(
    expression: tuple[ExpressionKind, str], zone: ZoneInfo, start: datetime, minutes: int
) -> None:
    """D-11."""
    schedule = _schedule(expression, zone)
    end = start + timedelta(minutes=minutes)
    walked: list[datetime] = []
    at = schedule.after(start - timedelta(microseconds=1))
    while at is not None and at < end and len(walked) < 200:
        walked.append(at)
        at = schedule.after(at)

    assert list(islice(schedule.between(start, end), 200)) == walked


@given(expressions, zones, instants)
def test_a_schedule_is_the_same_after_writing_it_out(
    expression: tuple[ExpressionKind, str], zone: ZoneInfo, at: datetime
) -> None:
    """D-11: its text is normalised, and means the same."""
    schedule = _schedule(expression, zone)

    again = _schedule((expression[0], schedule.text), zone)

    assert again.text == schedule.text
    assert again.after(at) == schedule.after(at)


@given(_field(0, 59), _field(0, 23), zones, st.sampled_from(CHANGES), st.integers(-30, 30))
@example("0", "*", ZoneInfo("Pacific/Apia"), CHANGES[8], -10)
@example("*/15", "23", ZoneInfo("America/Sao_Paulo"), CHANGES[6], -20)
def test_cron_in_gaps_and_folds_agrees_with_a_plain_reckoning(
    minute: str, hour: str, zone: ZoneInfo, change: datetime, hours: int
) -> None:
    """D-15, by trying every minute of three days in the zone's own clocks."""
    schedule = _schedule((ExpressionKind.CRON, f"0 {minute} {hour} * * ?"), zone)
    start = change + timedelta(hours=hours)
    end = start + timedelta(days=2)

    expected = _elapsed(minute, hour, zone, start, end)
    if expected is None:
        expected = _wall_times(minute, hour, zone, start, end)

    assert list(schedule.between(start, end)) == expected


def _values(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        body, _, step = item.partition("/")
        first, _, last = body.partition("-")
        span = (low, high) if body == "*" else (int(first), int(last or first))
        found.update(range(span[0], span[1] + 1, int(step or 1)))
    return found


def _elapsed(
    minute: str, hour: str, zone: ZoneInfo, start: datetime, end: datetime
) -> list[datetime] | None:
    """Return the instants that show such a time; None: the hours are wall times."""
    if len(_values(hour, 0, 23)) < 24:
        return None
    minutes = _values(minute, 0, 59)
    at = start.replace(second=0, microsecond=0)
    found = []
    while at < end:
        local = at.astimezone(zone)
        if at >= start and local.minute in minutes and local.second == 0:
            found.append(at)
        at += timedelta(minutes=1)
    return found


def _wall_times(
    minute: str, hour: str, zone: ZoneInfo, start: datetime, end: datetime
) -> list[datetime]:
    first = start.astimezone(zone).replace(tzinfo=None) - timedelta(days=3)
    found = set()
    for day in range(8):
        for h in _values(hour, 0, 23):
            for m in _values(minute, 0, 59):
                wall = (first + timedelta(days=day)).replace(
                    hour=h, minute=m, second=0, microsecond=0
                )
                found.add(_first_instant(wall, zone))
    return sorted(at for at in found if start <= at < end)


def _first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a wall time; in a gap, search for the first instant after it."""
    at = wall.replace(tzinfo=zone).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) == wall:
        return at
    low, high = at - timedelta(days=2), at + timedelta(days=2)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


@given(
    st.sampled_from(["cm", "ch", "cd", "cw", "cM", "cy", "d(3)", "h(-2,1)", "M(0,2)"]),
    zones,
    instants,
)
def test_a_window_that_should_hold_the_due_time_does(
    text: str, zone: ZoneInfo, due: datetime
) -> None:
    """D-35, D-36: also where clocks change."""
    offset = parse_offset(text)
    assert offset.unit is not None

    assert window(offset, due, zone).contains(due)
    assert truncate(offset.unit, truncate(offset.unit, due, zone), zone) == truncate(
        offset.unit, due, zone
    )


@given(
    st.sampled_from(list(ExpressionKind)),
    st.text(max_size=60) | st.text("0123456789*/-,?LW#RPT() 'hdM", max_size=60),
)
def test_any_text_is_read_or_refused_with_a_message(kind: ExpressionKind, text: str) -> None:
    """D-71: no other error, whatever is typed."""
    saved_at = datetime(2026, 1, 1, tzinfo=UTC)
    answer: Any
    try:
        answer = parse(kind, text, zone=ZoneInfo("UTC"), saved_at=saved_at)
    except InvalidParameters as refusal:
        answer = refusal

    assert "a correct example" in str(answer) or answer.describe()
