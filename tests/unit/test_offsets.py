"""Offset strategies and their windows (D-30, D-31, D-35)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from jobs.rules.offsets import parse_offset, shift, truncate, window
from sentinel_project.errors import InvalidParameters

SHANGHAI = "Asia/Shanghai"
NEW_YORK = "America/New_York"
LORD_HOWE = "Australia/Lord_Howe"
DUE = "2026-03-04T01:00"  # a Wednesday


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("cm", "2026-03-04T01:00", "2026-03-04T01:01"),
        ("ch", "2026-03-04T01:00", "2026-03-04T02:00"),
        ("cd", "2026-03-04", "2026-03-05"),
        ("cw", "2026-03-02", "2026-03-09"),
        ("cM", "2026-03-01", "2026-04-01"),
        ("cy", "2026-01-01", "2027-01-01"),
        ("d(-1)", "2026-03-03", "2026-03-04"),
        ("d(-3)", "2026-03-01", "2026-03-04"),
        ("d(1)", "2026-03-04", "2026-03-05"),
        ("d(2)", "2026-03-04", "2026-03-06"),
        ("d(-2,-1)", "2026-03-02", "2026-03-03"),
        ("d(-3,0)", "2026-03-01", "2026-03-04"),
        ("d(-1,1)", "2026-03-03", "2026-03-05"),
        ("d(1,2)", "2026-03-05", "2026-03-06"),
        ("w(-1)", "2026-02-23", "2026-03-02"),
        ("M(-1)", "2026-02-01", "2026-03-01"),
        ("M(-2,11)", "2026-01-01", "2027-02-01"),
        ("y(-1)", "2025-01-01", "2026-01-01"),
        ("h(-2)", "2026-03-03T23:00", "2026-03-04T01:00"),
        ("m(-90)", "2026-03-03T23:30", "2026-03-04T01:00"),
    ],
)
def test_an_offset_names_a_window_around_the_due_time(text: str, start: str, end: str) -> None:
    """D-30, the table of 4.1."""
    assert _window(text, DUE, SHANGHAI) == (_at(start, SHANGHAI), _at(end, SHANGHAI))


def test_the_empty_offset_is_the_due_time_itself() -> None:
    """D-30."""
    span = window(parse_offset(""), _at(DUE, SHANGHAI), ZoneInfo(SHANGHAI))

    assert span.is_instant
    assert span.contains(_at(DUE, SHANGHAI))
    assert not span.contains(_at("2026-03-04T01:00:01", SHANGHAI))


def test_a_window_holds_its_start_and_not_its_end() -> None:
    """D-30."""
    span = window(parse_offset("cd"), _at(DUE, SHANGHAI), ZoneInfo(SHANGHAI))

    assert span.contains(span.start)
    assert not span.contains(span.end)


@pytest.mark.parametrize(
    ("text", "zone", "due", "start", "end"),
    [
        pytest.param(
            "cd",
            "America/Santiago",
            "2026-09-06T12:00",
            "2026-09-06T01:00-03:00",
            "2026-09-07T00:00-03:00",
            id="a day without midnight begins at its first instant",
        ),
        pytest.param(
            "cd",
            NEW_YORK,
            "2026-03-08T12:00",
            "2026-03-08T00:00-05:00",
            "2026-03-09T00:00-04:00",
            id="a day of 23 hours",
        ),
        pytest.param(
            "h(-3)",
            NEW_YORK,
            "2026-03-08T04:30-04:00",
            "2026-03-08T00:00-05:00",
            "2026-03-08T04:00-04:00",
            id="hours elapse through a gap",
        ),
        pytest.param(
            "h(-2)",
            NEW_YORK,
            "2026-11-01T02:10-05:00",
            "2026-11-01T01:00-04:00",
            "2026-11-01T02:00-05:00",
            id="and through a fold",
        ),
        pytest.param(
            "ch",
            NEW_YORK,
            "2026-11-01T01:30-05:00",
            "2026-11-01T01:00-05:00",
            "2026-11-01T02:00-05:00",
            id="the second pass is an hour of its own",
        ),
        pytest.param(
            "ch",
            LORD_HOWE,
            "2026-10-04T02:45+11:00",
            "2026-10-04T02:30+11:00",
            "2026-10-04T03:30+11:00",
            id="an hour that lost its first half begins at its first instant",
        ),
        pytest.param(
            "ch",
            "Asia/Kolkata",
            "2026-03-04T01:10",
            "2026-03-04T01:00+05:30",
            "2026-03-04T02:00+05:30",
            id="hours are those of the zone's clocks",
        ),
        pytest.param(
            "cd",
            "America/St_Johns",
            "2006-10-28T23:30-03:30",
            "2006-10-29T00:00-02:30",
            "2006-10-30T00:00-03:30",
            id="clocks that go back over midnight: the next day had begun",
        ),
    ],
)
def test_windows_where_clocks_change(text: str, zone: str, due: str, start: str, end: str) -> None:
    """D-35."""
    assert _window(text, due, zone) == (_at(start, zone), _at(end, zone))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("cd", True),
        ("d(1)", True),
        ("d(3)", True),
        ("d(-1,1)", True),
        ("d(0,1)", True),
        ("d(-1)", False),
        ("d(-3,0)", False),
        ("d(1,2)", False),
    ],
)
def test_some_windows_hold_the_due_time(text: str, expected: bool) -> None:
    """D-36: those can name the due times of a job without a schedule."""
    assert parse_offset(text).holds_due is expected


@pytest.mark.parametrize(
    "text",
    [
        "d(0)",
        "d(-0)",
        "d(1,1)",
        "d(0,-1)",
        " cd",
        "cd ",
        "d( -1)",
        "d(-2, -1)",
        "cs",
        "s(-1)",
        "D(1)",
        "Cd",
        "x(1)",
        "c",
        "d",
        "d()",
        "d(1,)",
        "d(,1)",
        "d(+1)",
        "d(1,2,3)",
        "d(-1",
        "cdcd",
        "d(-1)d(-2)",
        "d(1.5)",
        "d(٣)",
        "d(1)\n",
        "['yyyy-MM-dd 00:00:00',d(-1),d(1))",
        "d(" + "9" * 100_000 + ")",
    ],
)
def test_other_offsets_are_refused_and_a_valid_form_is_shown(text: str) -> None:
    """D-30."""
    with pytest.raises(InvalidParameters, match="a correct example: cd") as caught:
        parse_offset(text)

    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("unit", ["m", "h", "d", "w", "M", "y"])
def test_the_ends_of_the_calendar_raise_nothing(unit: str) -> None:
    """D-31: an offset is arithmetic, whatever its numbers."""
    span = window(parse_offset(f"{unit}(-999999,999999)"), _at(DUE, SHANGHAI), ZoneInfo(SHANGHAI))

    assert span.start < _at(DUE, SHANGHAI) < span.end
    assert span.start.astimezone(ZoneInfo("Pacific/Pago_Pago")) < span.end


@pytest.mark.parametrize("unit", ["m", "h", "d", "w", "M", "y"])
def test_a_period_ends_where_the_next_begins(unit: str) -> None:
    """D-31."""
    zone = ZoneInfo(NEW_YORK)
    start = truncate(unit, _at("2026-03-08T03:30", NEW_YORK), zone)
    end = shift(unit, start, 1, zone)

    assert truncate(unit, end, zone) == end
    assert shift(unit, end, -1, zone) == start


def _at(text: str, zone: str) -> datetime:
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))


def _window(text: str, due: str, zone: str) -> tuple[datetime, datetime]:
    span = window(parse_offset(text), _at(due, zone), ZoneInfo(zone))
    return span.start, span.end
