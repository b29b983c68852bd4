"""The grammar of one cron field: what may stand in it, and what each item means (D-13).

Ordinary items (values, ranges, steps, names) are checked here and spelled in plain ranges that
croniter expands; the forms it reads differently or not at all (wrap-around, L, W, #) are ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .refusals import excerpt

# Not from the calendar module: its names follow the locale.
MONTH_NAMES = {
    "JAN": 1,
    "FEB": 2,
    "MAR": 3,
    "APR": 4,
    "MAY": 5,
    "JUN": 6,
    "JUL": 7,
    "AUG": 8,
    "SEP": 9,
    "OCT": 10,
    "NOV": 11,
    "DEC": 12,
}
WEEKDAYS = {"MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6, "SUN": 7}
_VALUE = re.compile(r"[0-9]{1,4}|[A-Z]{3}")
_ITEM = re.compile(r"(?P<body>[^/]*)(?:/(?P<step>[^/]*))?")
_SUNDAY = 7


class FieldError(ValueError):
    """An item of a field is wrong; the text says how."""


@dataclass(frozen=True, slots=True)
class FieldKind:
    """What a field is called and which values it takes."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)
    wraps: bool = True


SECONDS = FieldKind("second", 0, 59)
MINUTES = FieldKind("minute", 0, 59)
HOURS = FieldKind("hour", 0, 23)
MONTH_DAYS = FieldKind("day of month", 1, 31)
MONTHS = FieldKind("month", 1, 12, MONTH_NAMES)
WEEK_DAYS = FieldKind("weekday", 1, 7, WEEKDAYS)
YEARS = FieldKind("year", 1970, 2099, wraps=False)


@dataclass(frozen=True, slots=True)
class Specials:
    """The items of a day field that depend on the month."""

    from_end: frozenset[int] = (
        frozenset()
    )  # L, L-n, nL: days counted back from the last, which is 0
    near: frozenset[int] = frozenset()  # nW
    near_from_end: frozenset[int] = frozenset()  # LW, L-nW
    nth: frozenset[tuple[int, int]] = frozenset()  # n#k: weekday and which one; -1 is the last


def plain_item(item: str, kind: FieldKind, *, unix: bool) -> list[str]:
    """Return ``item`` as ranges that croniter expands to its values."""
    match = _ITEM.fullmatch(item)
    if match is None:
        raise FieldError(f"{excerpt(item)} has more than one slash")
    body, has_step = match["body"], match["step"] is not None
    step = _step(match["step"], item) if has_step else 1
    if body == "*" or (has_step and not body):
        return [_range(kind.low, kind.high, step)]
    opens, dash, closes = body.partition("-")
    first = _opening(opens, kind, item, unix=unix)
    if not dash:
        return [_range(first, kind.high, step) if has_step else str(first)]
    last = value_of(closes, kind, item)
    if first <= last:
        return [_range(first, last, step)]
    if unix or not kind.wraps:
        where = "the five-field form" if unix else f"a {kind.name}"
        raise FieldError(f"{excerpt(item)} runs backwards, which is not possible in {where}")
    return _wrapped(first, last, step, kind)


def _wrapped(first: int, last: int, step: int, kind: FieldKind) -> list[str]:
    """Spell a range over the border in two pieces: its step runs on through the border."""
    steps = -(-(kind.high + 1 - first) // step)
    resumes = first + steps * step - (kind.high + 1 - kind.low)
    pieces = [_range(first, kind.high, step)]
    return [*pieces, _range(resumes, last, step)] if resumes <= last else pieces


def _range(first: int, last: int, step: int) -> str:
    """Spell a range; croniter reads "5-5" as the whole cycle, so one value stands alone."""
    return str(first) if first + step > last else f"{first}-{last}/{step}"


def _opening(text: str, kind: FieldKind, item: str, *, unix: bool) -> int:
    """Return the first value of a range: in the five-field form the name SUN opens it as 0."""
    return 0 if unix and kind is WEEK_DAYS and text == "SUN" else value_of(text, kind, item)


def value_of(text: str, kind: FieldKind, item: str) -> int:
    """Return the value a number or a name stands for; a weekday may be 0."""
    if not _VALUE.fullmatch(text):
        raise FieldError(
            f"{excerpt(item)} cannot be read" if text else f"{excerpt(item)} is cut off"
        )
    if text.isalpha():
        if text not in kind.names:
            raise FieldError(f"{excerpt(text)} is no name of a {kind.name}")
        return kind.names[text]
    value = int(text)
    if not (kind.low <= value <= kind.high or (kind is WEEK_DAYS and value == 0)):
        raise FieldError(f"{value} is not within {kind.low}-{kind.high}")
    return value


def _step(text: str, item: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) == 0:
        raise FieldError(f"the step of {excerpt(item)} must be a whole number from 1 on")
    return int(text)


_FROM_END = re.compile(r"L(?:-(?P<back>[0-9]{1,2}))?(?P<near>W)?")
_NTH_FROM_END = re.compile(r"(?P<nth>[0-9]{1,2})L")
_NEAR = re.compile(r"(?P<day>[0-9]{1,2})W")
_NTH = re.compile(r"(?P<day>[0-9]|[A-Z]{3})(?:#(?P<nth>[0-9]{1,2})|L)")


def month_day_special(item: str) -> Specials | None:
    """Return what an L or W item of the day of month means; None: it is an ordinary item."""
    if match := _FROM_END.fullmatch(item):
        back = _within(int(match["back"] or 0), 0, 30, item)
        return Specials(near_from_end=back) if match["near"] else Specials(from_end=back)
    if match := _NTH_FROM_END.fullmatch(item):
        (nth,) = _within(int(match["nth"]), 1, 31, item)
        return Specials(from_end=frozenset({nth - 1}))
    if match := _NEAR.fullmatch(item):
        return Specials(near=_within(int(match["day"]), 1, 31, item))
    return None


def week_day_special(item: str) -> Specials | None:
    """Return what an L or # item of the weekday means; None: it is an ordinary item."""
    if item == "L":
        raise FieldError('"L" is ambiguous, write SAT or name the weekday as in FRIL')
    match = _NTH.fullmatch(item)
    if match is None:
        return None
    day = value_of(match["day"], WEEK_DAYS, item) or _SUNDAY
    if match["nth"] is None:
        return Specials(nth=frozenset({(day, -1)}))
    (nth,) = _within(int(match["nth"]), 1, 5, item)
    return Specials(nth=frozenset({(day, nth)}))


def _within(value: int, low: int, high: int, item: str) -> frozenset[int]:
    if not low <= value <= high:
        raise FieldError(f"{excerpt(item)}: {value} is not within {low}-{high}")
    return frozenset({value})


def joined(found: list[Specials]) -> Specials:
    """Return the special items of a whole field."""
    return Specials(
        from_end=frozenset[int]().union(*(one.from_end for one in found)),
        near=frozenset[int]().union(*(one.near for one in found)),
        near_from_end=frozenset[int]().union(*(one.near_from_end for one in found)),
        nth=frozenset[tuple[int, int]]().union(*(one.nth for one in found)),
    )
