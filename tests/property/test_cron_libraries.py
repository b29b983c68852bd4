"""Our cron beside two independent libraries, on the dialect that all of them share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim
from hypothesis import assume, given
from hypothesis import strategies as st

from jobs.rules.enums import ExpressionKind
from jobs.rules.schedule import Delay, Schedule, parse_live
from sentinel_project.errors import InvalidParameters

SLOTS = 5
YEARS = (datetime.fromisoformat("2005-01-01"), datetime.fromisoformat("2035-01-01"))
instants = st.datetimes(*YEARS, timezones=st.just(UTC))


def _lists(low: int, high: int) -> st.SearchStrategy[str]:
    """Return lists of values and ranges; croniter reads "5-5" as everything, so no such range."""
    values = st.integers(low, high)
    pairs = st.tuples(values, values).filter(lambda pair: pair[0] < pair[1])
    items = st.one_of(
        values.map(str),
        pairs.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.builds(lambda pair, n: f"{pair[0]}-{pair[1]}/{n}", pairs, st.integers(1, 9)),
    )
    return st.lists(items, min_size=1, max_size=3).map(",".join)


def _steps(low: int, high: int) -> st.SearchStrategy[str]:
    step = st.integers(2, 9)
    return step.map("*/{}".format) | st.builds("{}/{}".format, st.integers(low, high - 9), step)


minutes = st.one_of(st.just("*"), _steps(0, 59), _lists(0, 59))
hours = st.one_of(st.just("*"), _steps(0, 23), _lists(0, 23))
months = st.one_of(
    st.just("*"), st.integers(2, 6).map("*/{}".format), _lists(1, 12), st.just("JAN,JUL")
)
month_days = st.one_of(_lists(1, 31), st.just("L"), _steps(1, 31))
week_days = st.one_of(_lists(0, 6), st.sampled_from(["MON", "SUN", "MON-FRI", "TUE,SAT"]))
day_pairs = st.one_of(
    month_days.map("{} {{}} *".format),
    week_days.map("* {{}} {}".format),
    st.builds("{} {{}} {}".format, _lists(1, 31), week_days),
)


@st.composite
def unix_crons(draw: st.DrawFn) -> str:
    return f"{draw(minutes)} {draw(hours)} {draw(day_pairs).format(draw(months))}"


@given(unix_crons(), instants)
def test_five_fields_mean_what_they_mean_elsewhere(text: str, at: datetime) -> None:
    """D-12 to D-14: names, ranges, steps, L, and the vixie rule for two restricted day fields."""
    ours = _live(text, at)
    theirs = croniter(text, at)
    others = CronSim(text, at)

    for _ in range(SLOTS):
        slot = ours.after(at)
        assert slot is not None
        assert theirs.get_next(datetime) == slot
        assert next(others) == slot
        at = slot


@given(unix_crons(), instants)
def test_five_fields_read_backwards_as_elsewhere(text: str, at: datetime) -> None:
    """D-11: ``before`` too."""
    ours = _live(text, at)
    theirs = croniter(text, at)
    others = CronSim(text, at, reverse=True)

    for _ in range(SLOTS):
        slot = ours.before(at)
        assert slot is not None
        assert theirs.get_prev(datetime) == slot
        assert next(others) == slot
        at = slot


@given(minutes, unix_crons(), instants)
def test_seconds_in_front_mean_what_they_mean_elsewhere(
    second: str, text: str, at: datetime
) -> None:
    """D-12."""
    minute, hour, day, month, weekday = text.split()
    assume("*" in (day, weekday))
    six = f"{second} {minute} {hour} {day} {month} {weekday}"
    ours = _live(six, at)
    theirs = croniter(six, at, second_at_beginning=True)
    others = CronSim(six, at)

    for _ in range(SLOTS):
        slot = ours.after(at)
        assert slot is not None
        assert theirs.get_next(datetime) == slot
        assert next(others) == slot
        at = slot


@given(st.integers(0, 6), st.integers(1, 5), st.integers(0, 1), instants)
def test_nth_weekdays_mean_what_they_mean_elsewhere(
    weekday: int, nth: int, is_last: int, at: datetime
) -> None:
    """D-13: ``n#k`` and ``nL``, which croniter spells ``Ln``."""
    text = f"0 12 * * {weekday}L" if is_last else f"0 12 * * {weekday}#{nth}"
    ours = _live(text, at)
    theirs = croniter(f"0 12 * * L{weekday}" if is_last else text, at)
    others = CronSim(text, at)

    for _ in range(SLOTS):
        slot = ours.after(at)
        assert slot is not None
        assert theirs.get_next(datetime) == slot
        assert next(others) == slot
        at = slot


def _live(text: str, at: datetime) -> Schedule:
    """Return our reading; what never fires is refused by all and proves nothing here."""
    try:
        ours = parse_live(ExpressionKind.CRON, text, zone=ZoneInfo("UTC"), saved_at=at, now=at)
    except InvalidParameters as refusal:
        assume("never fires" not in str(refusal))
        raise
    assert not isinstance(ours, Delay)
    return ours


def test_every_weekday_range_and_step_is_expanded_as_defined() -> None:
    """D-13: croniter counts weekdays from Sunday = 0, so all of ours are tried against the rule."""
    ranges = [
        (first, last, step) for first in range(8) for last in range(8) for step in range(1, 9)
    ]
    wrong = [each for each in ranges if each[0] != each[1] and _weekdays(*each) != _defined(*each)]

    assert wrong == []


def _defined(first: int, last: int, step: int) -> set[int]:
    """Return the weekdays of a range from 1 = Monday; its step runs over the border."""
    length = last - first if first < last else last + 7 - first
    return {(first + passed - 1) % 7 + 1 for passed in range(0, length + 1, step)}


def _weekdays(first: int, last: int, step: int) -> set[int]:
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    expression = _live(f"0 0 12 ? * {first}-{last}/{step}", monday)
    return {slot.isoweekday() for slot in expression.between(monday, monday + timedelta(days=7))}
