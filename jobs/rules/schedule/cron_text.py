"""Reading a cron text: count the fields, read each, let croniter expand them (D-12 to D-14)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from croniter import CroniterError, croniter

from .cron_calendar import DayField, Days, WallTimes
from .cron_fields import (
    HOURS,
    MINUTES,
    MONTH_DAYS,
    MONTHS,
    SECONDS,
    WEEK_DAYS,
    YEARS,
    FieldError,
    FieldKind,
    Specials,
    joined,
    month_day_special,
    plain_item,
    week_day_special,
)
from .refusals import check_length, excerpt, refusal

UNIX_EXAMPLE = "0 12 * * 1-5"
EXAMPLE = "0 0 12 * * ?"
_BLANKS = re.compile(r"[ \t]+")
_FIELD = re.compile(r"[^ \t]+")
_UNIX = (MINUTES, HOURS, MONTH_DAYS, MONTHS, WEEK_DAYS)
_KINDS = {
    5: _UNIX,
    6: (SECONDS, *_UNIX),
    7: (SECONDS, *_UNIX, YEARS),
}
_SPECIAL = {MONTH_DAYS.name: month_day_special, WEEK_DAYS.name: week_day_special}


@dataclass(frozen=True, slots=True)
class CronText:
    """A text that was read."""

    text: str
    times: WallTimes
    covers_all_hours: bool


@dataclass(frozen=True, slots=True)
class _Field:
    """One field: what is written, and what that means to croniter and to us."""

    text: str
    position: int
    plain: tuple[str, ...]
    specials: Specials

    @property
    def is_open(self) -> bool:
        return self.text in {"*", "?"}


def read_cron(text: str) -> CronText:
    """Return what ``text`` says, or refuse it with the field, its position and an example."""
    check_length(text, what="the cron expression", example=EXAMPLE)
    found = list(_FIELD.finditer(text))
    kinds = _KINDS.get(len(found))
    if kinds is None:
        problem = f"cron {excerpt(text)} has {len(found)} fields, it needs 5, 6 or 7"
        raise refusal(problem, example=EXAMPLE)
    unix = len(found) == 5
    fields = {
        kind.name: _read_field(match, kind, number, unix=unix)
        for number, (match, kind) in enumerate(zip(found, kinds, strict=True), start=1)
    }
    if not unix:
        _check_day_fields(fields[MONTH_DAYS.name], fields[WEEK_DAYS.name])
    return _compile(fields, unix=unix)


def _read_field(match: re.Match[str], kind: FieldKind, number: int, *, unix: bool) -> _Field:
    written = match[0].upper()
    try:
        plain, specials = _read_items(written, kind, unix=unix)
    except FieldError as error:
        where = f"cron field {number} ({kind.name}) at position {match.start() + 1}"
        problem = f"{where}, {excerpt(match[0])}: {error}"
        raise refusal(problem, example=UNIX_EXAMPLE if unix else EXAMPLE) from error
    return _Field(written, match.start() + 1, plain, specials)


def _read_items(text: str, kind: FieldKind, *, unix: bool) -> tuple[tuple[str, ...], Specials]:
    special_of = _SPECIAL.get(kind.name)
    if text == "?":
        if special_of is None or unix:
            where = "the five-field form" if unix else f"a {kind.name}"
            raise FieldError(f'"?" has no meaning in {where}, write *')
        text = "*"
    plain: list[str] = []
    specials: list[Specials] = []
    for item in text.split(","):
        if not item:
            raise FieldError("an item of the list is empty")
        special = special_of(item) if special_of else None
        if special is None:
            plain += plain_item(item, kind, unix=unix)
        else:
            specials.append(special)
    return tuple(plain), joined(specials)


def _check_day_fields(of_month: _Field, of_week: _Field) -> None:
    """With a second field, one day field says the day and the other stays open (D-14)."""
    if of_month.text == of_week.text == "?":
        problem = (
            f"the day of month at position {of_month.position} and the weekday at position "
            f"{of_week.position} are both ?, change the day of month to *"
        )
        raise refusal(problem, example=EXAMPLE)
    if not (of_month.is_open or of_week.is_open):
        problem = (
            f"the day of month {excerpt(of_month.text)} and the weekday {excerpt(of_week.text)} "
            f"are both restricted, change the one you do not mean to ? (at position "
            f"{of_month.position} or {of_week.position})"
        )
        raise refusal(problem, example="0 0 12 ? * MON-FRI")


def _compile(fields: dict[str, _Field], *, unix: bool) -> CronText:
    values = _expand(fields)
    hours = sorted(values[HOURS.name])
    of_month, of_week = fields[MONTH_DAYS.name], fields[WEEK_DAYS.name]
    starred = of_month.text.startswith("*") or of_week.text.startswith("*")
    days = Days(
        DayField(values[MONTH_DAYS.name], of_month.specials, not of_month.is_open),
        DayField(_from_monday(values[WEEK_DAYS.name]), of_week.specials, not of_week.is_open),
        unix and not starred,
        tuple(sorted(values[MONTHS.name])),
        tuple(sorted(values[YEARS.name])),
    )
    minutes = tuple(hour * 60 + minute for hour in hours for minute in sorted(values[MINUTES.name]))
    times = WallTimes(days, minutes, tuple(sorted(values[SECONDS.name])))
    return CronText(" ".join(one.text for one in fields.values()), times, len(hours) == 24)


_ORDER = (MINUTES, HOURS, MONTH_DAYS, MONTHS, WEEK_DAYS, SECONDS, YEARS)


def _expand(fields: dict[str, _Field]) -> dict[str, frozenset[int]]:
    """Return the plain values of each field, expanded by croniter from the ranges we checked."""
    spelled = [_spelled(fields.get(kind.name), kind) for kind in _ORDER]
    try:
        expanded, _ = croniter.expand(" ".join(spelled))
    except CroniterError as error:
        raise refusal(f"cron cannot be read: {error}", example=EXAMPLE) from error
    return {
        kind.name: _values(fields.get(kind.name), kind, found)
        for kind, found in zip(_ORDER, expanded, strict=True)
    }


def _spelled(one: _Field | None, kind: FieldKind) -> str:
    if one is None:
        return "0" if kind is SECONDS else "*"
    return ",".join(one.plain) or "*"


def _values(one: _Field | None, kind: FieldKind, found: Sequence[int | str]) -> frozenset[int]:
    if one is not None and not one.plain:
        return frozenset()  # nothing but special items
    if found == ["*"]:
        return frozenset(range(kind.low, kind.high + 1))
    return frozenset(int(value) for value in found)


def _from_monday(weekdays: frozenset[int]) -> frozenset[int]:
    """Return weekdays as 1 = MON to 7 = SUN; croniter says 0 for Sunday."""
    return frozenset(day or 7 for day in weekdays)
