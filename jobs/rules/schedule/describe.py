"""Cron in English, said from the values an expression has and not from how it is spelled (D-71)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .cron_calendar import DayField, Days, WallTimes
from .cron_fields import MONTH_NAMES, WEEKDAYS, YEARS, Specials

_CLOCK_TIMES = 6  # as many times of day are listed; more are said by hour and minute
_NAMES = {number: name.capitalize() for name, number in WEEKDAYS.items()}
_MONTHS = {number: name.capitalize() for name, number in MONTH_NAMES.items()}


def describe_cron(times: WallTimes) -> str:
    """Return the slots of ``times`` as an English sentence, without the zone."""
    parts = [_times(times), _days(times.days)]
    if len(times.days.months) < len(_MONTHS):
        parts.append(f"in {_spans(times.days.months, _MONTHS)}")
    if len(times.days.years) <= YEARS.high - YEARS.low:
        parts.append(f"in {_spans(times.days.years)}")
    return " ".join(parts)


def _times(times: WallTimes) -> str:
    if len(times.minutes) * len(times.seconds) <= _CLOCK_TIMES:
        return "at " + _listed(
            [_clock(minute, second) for minute in times.minutes for second in times.seconds]
        )
    hours = sorted({minute // 60 for minute in times.minutes})
    minutes = sorted({minute % 60 for minute in times.minutes})
    said = [_within(minutes, "minute")]
    if times.seconds != (0,):
        said.insert(0, _within(times.seconds, "second"))
    if said[-1] == "every minute" and said[0].startswith("every"):
        said = said[:1]
    if len(hours) < 24:
        said.append(f"of hour {_spans(hours)}")
    elif not said[-1].startswith("every"):
        said.append("of every hour")
    return " ".join(said)


def _clock(minute: int, second: int) -> str:
    text = f"{minute // 60:02}:{minute % 60:02}"
    return f"{text}:{second:02}" if second else text


def _within(values: Sequence[int], unit: str) -> str:
    """Say which minutes of an hour or seconds of a minute."""
    step = 60 // len(values)
    if len(values) > 1 and list(values) == list(range(0, 60, step)):
        return f"every {unit}" if step == 1 else f"every {step} {unit}s"
    return f"at {unit} {_spans(values)}"


def _days(days: Days) -> str:
    month, week = _month_days(days.of_month), _week_days(days.of_week)
    if month and week:
        return f"on {month} {'or' if days.either else 'if it is'} {week}"
    return f"on {month or week}" if month or week else "every day"


def _month_days(days: DayField) -> str:
    if not days.restricts:
        return ""
    said = [f"day {_spans(sorted(days.values))}"] if days.values else []
    return _listed(said + _month_specials(days.specials)) + " of the month"


def _month_specials(specials: Specials) -> list[str]:
    return [
        *(f"{_from_end(back)} day" for back in sorted(specials.from_end)),
        *(f"the workday nearest to day {day}" for day in sorted(specials.near)),
        *(f"the workday nearest to {_from_end(n)} day" for n in sorted(specials.near_from_end)),
    ]


def _from_end(back: int) -> str:
    return "the last" if back == 0 else f"the {_ordinal(back + 1)} last"


def _week_days(days: DayField) -> str:
    if not days.restricts:
        return ""
    return _listed(
        _span_words(sorted(days.values), _NAMES)
        + [
            f"the {'last' if nth < 0 else _ordinal(nth)} {_NAMES[day]} of the month"
            for day, nth in sorted(days.specials.nth)
        ]
    )


def _ordinal(number: int) -> str:
    if number % 100 in {11, 12, 13}:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _listed(words: Sequence[str]) -> str:
    """Join words as English does: "a, b and c"."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _spans(values: Sequence[int], names: Mapping[int, str] | None = None) -> str:
    """Say ascending numbers, with runs of three and more as one span: "1-5 and 7"."""
    return _listed(_span_words(values, names or {}))


def _span_words(values: Sequence[int], names: Mapping[int, str]) -> list[str]:
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    words: list[str] = []
    for run in runs:
        said = [names.get(value, str(value)) for value in run]
        words += said if len(said) < 3 else [f"{said[0]}-{said[-1]}"]
    return words
