"""Cron: every form of D-12 and D-13, and the day rules of D-14."""

from __future__ import annotations

import pytest

from jobs.rules.enums import ExpressionKind

from .schedules import cron, days, refused, slots, slots_back, times


@pytest.mark.parametrize(
    ("text", "first"),
    [
        pytest.param("30 12 * * *", "12:30:00", id="five fields begin with the minute"),
        pytest.param("15 30 12 * * ?", "12:30:15", id="six fields begin with the second"),
        pytest.param("15 30 12 * * ? 2026", "12:30:15", id="the seventh is the year"),
    ],
)
def test_the_number_of_fields_decides_which_comes_first(text: str, first: str) -> None:
    """D-12."""
    assert times(text) == [first]


@pytest.mark.parametrize(
    "text", ["  0 0 12 * * ?", "0 0 12 * * ?  ", "0   0\t12 *  * ?", "\t0 0 12 * * ?\t"]
)
def test_blanks_may_run_between_fields_and_around(text: str) -> None:
    """D-12a."""
    assert cron(text).text == "0 0 12 * * ?"


@pytest.mark.parametrize(
    "text",
    ["0 0 12 * *\u00a0?", "0 0 12\n* * ?", "0 0 12 ? * MON #1", "0 0 1 - 2 * ?", "0 0, 1 * * ?"],
)
def test_no_other_blank_is_a_blank_of_cron(text: str) -> None:
    """D-12a."""
    assert "a correct example" in refused(ExpressionKind.CRON, text)


@pytest.mark.parametrize(
    ("field", "weekdays"),
    [
        pytest.param("1", ["Mon"], id="1 is Monday, not Sunday as in Quartz"),
        pytest.param("0", ["Sun"], id="0 is Sunday"),
        pytest.param("7", ["Sun"], id="7 is Sunday"),
        pytest.param("fri", ["Fri"], id="names in any case"),
        pytest.param("1-5", ["Mon", "Tue", "Wed", "Thu", "Fri"], id="a range"),
        pytest.param("0-2", ["Mon", "Tue", "Sun"], id="a range from 0"),
        pytest.param("5-7", ["Fri", "Sat", "Sun"], id="a range to 7"),
        pytest.param("*/2", ["Mon", "Wed", "Fri", "Sun"], id="steps count from Monday"),
        pytest.param("/3", ["Mon", "Thu", "Sun"], id="a bare step"),
        pytest.param("2/2", ["Tue", "Thu", "Sat"], id="a step from a day"),
        pytest.param("TUE-SAT/2", ["Tue", "Thu", "Sat"], id="a step in a range of names"),
        pytest.param("MON,wed,6", ["Mon", "Wed", "Sat"], id="a list"),
    ],
)
@pytest.mark.parametrize("form", ["0 12 * * {}", "0 0 12 ? * {}"])
def test_weekdays_read_the_same_in_every_form(form: str, field: str, weekdays: list[str]) -> None:
    """D-12, D-13."""
    assert _weekdays(form.format(field)) == weekdays


@pytest.mark.parametrize(
    ("field", "weekdays"),
    [
        ("FRI-MON", ["Mon", "Fri", "Sat", "Sun"]),
        ("SUN-TUE", ["Mon", "Tue", "Sun"]),
        ("6-2", ["Mon", "Tue", "Sat", "Sun"]),
        ("5-0", ["Fri", "Sat", "Sun"]),
        ("SAT-WED/2", ["Mon", "Wed", "Sat"]),
    ],
)
def test_with_a_second_field_weekday_ranges_wrap(field: str, weekdays: list[str]) -> None:
    """D-13."""
    assert _weekdays(f"0 0 12 ? * {field}") == weekdays


@pytest.mark.parametrize(
    ("field", "weekdays"),
    [("SUN-TUE", ["Mon", "Tue", "Sun"]), ("FRI-SUN", ["Fri", "Sat", "Sun"])],
)
def test_in_five_fields_sunday_opens_a_range_as_0_and_closes_it_as_7(
    field: str, weekdays: list[str]
) -> None:
    """D-13."""
    assert _weekdays(f"0 12 * * {field}") == weekdays


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        pytest.param("0 0 1,5 * * ?", [1, 5], id="a list"),
        pytest.param("0 0 8-11 * * ?", [8, 9, 10, 11], id="a range"),
        pytest.param("0 0 */6 * * ?", [0, 6, 12, 18], id="*/n"),
        pytest.param("0 0 /6 * * ?", [0, 6, 12, 18], id="/n"),
        pytest.param("0 0 5/6 * * ?", [5, 11, 17, 23], id="a/n"),
        pytest.param("0 0 8-18/4 * * ?", [8, 12, 16], id="a-b/n"),
        pytest.param("0 0 22-2 * * ?", [0, 1, 2, 22, 23], id="a range over the border"),
        pytest.param("0 0 22-4/2 * * ?", [0, 2, 4, 22], id="its step runs through the border"),
        pytest.param("0 0 22-4/5 * * ?", [3, 22], id="also when it leaps the border"),
        pytest.param("0 0 23-1/3 * * ?", [23], id="also when it leaps the range"),
        pytest.param("0 0 5-5 * * ?", [5], id="a range of one"),
        pytest.param("0 0 23/5 * * ?", [23], id="a step from the last value"),
        pytest.param("0 0 1-3,2-4,3 * * ?", [1, 2, 3, 4], id="items that overlap"),
        pytest.param("0 5-9/2 * * *", [5, 7, 9], id="five fields have ranges and steps"),
        pytest.param("0 05 * * *", [5], id="leading zeros"),
    ],
)
def test_a_field_takes_lists_ranges_and_steps(text: str, hours: list[int]) -> None:
    """D-13."""
    assert times(text) == [f"{hour:02}:00:00" for hour in hours]


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("0 0 0 1 jan,Jul ?", [1, 7]),
        ("0 0 0 1 NOV-FEB ?", [1, 2, 11, 12]),
        ("0 0 0 1 apr-DEC/4 ?", [4, 8, 12]),
        ("0 0 1 */5 *", [1, 6, 11]),
    ],
)
def test_months_have_names_and_wrap(text: str, months: list[int]) -> None:
    """D-13."""
    found = slots(cron(text), "UTC", "2026-12-31T12:00:00", len(months))

    assert found == [f"2027-{month:02}-01T00:00:00+00:00" for month in months]


@pytest.mark.parametrize(
    ("field", "february", "may"),
    [
        # 2026: February has 28 days, Sunday first; May has 31 days, Friday first and Sunday last.
        ("L", [28], [31]),
        ("L-0", [28], [31]),
        ("L-3", [25], [28]),
        ("L-30", [], [1]),
        ("3L", [26], [29]),
        ("1L", [28], [31]),
        ("31L", [], [1]),
        ("LW", [27], [29]),
        ("L-1W", [27], [29]),
        ("L-2W", [26], [29]),
        ("L-30W", [], [1]),
        ("1W", [2], [1]),
        ("15W", [16], [15]),
        ("28W", [27], [28]),
        ("31W", [], [29]),
        ("2W", [2], [1]),
        ("1,LW", [1, 27], [1, 29]),
        ("31", [], [31]),
    ],
)
@pytest.mark.parametrize("form", ["0 0 12 {} * ?", "0 0 12 {} * *", "0 12 {} * *"])
def test_days_of_the_month_count_from_its_end_or_to_a_workday(
    form: str, field: str, february: list[int], may: list[int]
) -> None:
    """D-13: nW never leaves its month, and months without such a day are skipped."""
    text = form.format(field)

    assert (days(text, "2026-02"), days(text, "2026-05")) == (february, may)


@pytest.mark.parametrize(
    ("text", "february", "may"),
    [
        ("0 0 12 29-2 * ?", [1, 2], [1, 2, 29, 30, 31]),
        ("0 0 12 29-5/2 * ?", [2, 4], [2, 4, 29, 31]),
    ],
)
def test_with_a_second_field_day_ranges_wrap(
    text: str, february: list[int], may: list[int]
) -> None:
    """D-13: the border is the 31st, also of a month that is shorter."""
    assert (days(text, "2026-02"), days(text, "2026-05")) == (february, may)


@pytest.mark.parametrize(
    ("field", "fired"),
    [
        # March 2026 begins on a Sunday and ends on a Tuesday.
        ("5L", [27]),
        ("FRIL", [27]),
        ("0L", [29]),
        ("sunL", [29]),
        ("TUEL", [31]),
        ("1#1", [2]),
        ("FRI#3", [20]),
        ("0#1", [1]),
        ("7#5", [29]),
        ("WED#5", []),
        ("MON#1,FRI#3", [2, 20]),
        ("MON#2,WED", [4, 9, 11, 18, 25]),
    ],
)
@pytest.mark.parametrize("form", ["0 0 12 ? * {}", "0 12 * * {}"])
def test_weekdays_count_within_the_month(form: str, field: str, fired: list[int]) -> None:
    """D-13."""
    assert days(form.format(field), "2026-03") == fired


@pytest.mark.parametrize(
    ("text", "fired"),
    [
        pytest.param("0 12 13 * FRI", [6, 13, 20, 27], id="either restricted field"),
        pytest.param("0 12 15 * 1", [2, 9, 15, 16, 23, 30], id="either, other days"),
        pytest.param("0 12 L * MON#1", [2, 31], id="either, with special items"),
        pytest.param("0 12 */2 * MON", [9, 23], id="a starred day of month: both"),
        pytest.param("0 12 1 * */2", [1], id="a starred weekday: both"),
        pytest.param("0 12 15 * *", [15], id="one restricted field"),
        pytest.param("0 12 * * SAT", [7, 14, 21, 28], id="the other restricted field"),
    ],
)
def test_in_five_fields_either_day_field_matches_unless_one_is_starred(
    text: str, fired: list[int]
) -> None:
    """D-14, the vixie rule."""
    assert days(text, "2026-03") == fired


@pytest.mark.parametrize(
    "text", ["0 0 12 13 * ?", "0 0 12 13 * *", "0 0 12 ? * FRI", "0 0 12 * * FRI"]
)
def test_with_a_second_field_one_day_field_is_open(text: str) -> None:
    """D-14."""
    assert 13 in days(text, "2026-03")


def test_the_same_slots_come_back_in_reverse() -> None:
    """D-11."""
    expression = cron("0 30 9-10 ? * MON-FRI")
    ahead = slots(expression, "UTC", "2026-03-06T09:00:00", 5)

    assert slots_back(expression, "UTC", "2026-03-10T09:31:00", 5) == ahead[::-1]


@pytest.mark.parametrize(
    ("text", "at", "count"),
    [
        pytest.param("59 59 23 31 12 ? 2099", "2099-12-31T23:59:58", 1, id="the last slot of all"),
        pytest.param("59 59 23 31 12 ? 2099", "2099-12-31T23:59:59", 0, id="none after it"),
        pytest.param("* * * * *", "9998-06-01T00:00:00", 0, id="none in a far year"),
    ],
)
def test_cron_ends_with_the_year_2099(text: str, at: str, count: int) -> None:
    """D-12."""
    assert len(slots(cron(text), "UTC", at, 2)) == count


def _weekdays(text: str) -> list[str]:
    """Return the weekdays of a whole week from Monday, 2026-03-02, on which ``text`` fires."""
    names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    fired = days(text, "2026-03")
    return [name for day, name in enumerate(names, start=2) if day in fired]
