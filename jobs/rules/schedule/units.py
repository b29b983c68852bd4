"""``u(n)``: the units of rates and delays, and how such a text is read (D-16, D-17, D-20)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from .lattice import Period
from .refusals import check_length, excerpt, refusal
from .walltime import SECOND

_ONE = {
    "s": Period(elapsed=SECOND),
    "m": Period(elapsed=60 * SECOND),
    "h": Period(elapsed=3600 * SECOND),
    "d": Period(days=1),
    "w": Period(days=7),
    "M": Period(months=1),
    "y": Period(months=12),
}
NAMES = {
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "M": "month",
    "y": "year",
}
_CALL = re.compile(r"(?P<unit>[^(]*)\((?P<inside>[^()]*)\)")
_ANCHORED = re.compile(r"'(?P<anchor>[^']*)',(?P<count>.*)", re.DOTALL)
_ANCHOR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_COUNT = re.compile(r"[0-9]+")
_MAX_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Every:
    """A text that was read: n units, and the wall time they count from, if it names one."""

    unit: str
    count: int
    anchor: datetime | None

    @property
    def period(self) -> Period:
        one = _ONE[self.unit]
        return Period(one.months * self.count, one.days * self.count, one.elapsed * self.count)

    @property
    def text(self) -> str:
        start = f"'{self.anchor:%Y-%m-%d %H:%M:%S}'," if self.anchor else ""
        return f"{self.unit}({start}{self.count})"

    @property
    def words(self) -> str:
        """The period in English, as in "2 hours" or "day"."""
        name = NAMES[self.unit]
        return name if self.count == 1 else f"{self.count} {name}s"


def read_every(text: str, *, what: str, example: str) -> Every:
    """Return what ``text`` says; ``what`` and ``example`` go into a refusal."""
    check_length(text, what=f"the {what}", example=example)
    call = _CALL.fullmatch(text)
    if call is None:
        raise refusal(f"{what} {excerpt(text)} does not read unit(n)", example=example)
    unit, inside = call["unit"], call["inside"]
    if unit not in _ONE:
        problem = f"{what} {excerpt(text)}: unit {excerpt(unit)} at position 1 is unknown"
        raise refusal(f"{problem}, use one of s m h d w M y", example=example)
    anchored = _ANCHORED.fullmatch(inside)
    try:
        anchor = _anchor(anchored["anchor"]) if anchored else None
        every = Every(unit, _count(anchored["count"] if anchored else inside), anchor)
    except ValueError as error:
        raise refusal(f"{what} {excerpt(text)}: {error}", example=example) from error
    if every.period.is_too_long:
        raise refusal(f"{what} {excerpt(text)} is longer than 1000 years", example=example)
    return every


def _anchor(text: str) -> datetime:
    if not _ANCHOR.fullmatch(text):
        raise ValueError(f"start {excerpt(text)} at position 4 does not read 'yyyy-MM-dd HH:mm:ss'")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"start {excerpt(text)} at position 4: {error}") from error


def _count(text: str) -> int:
    """Return n; the digits are counted first, since reading a huge number is slow."""
    if not _COUNT.fullmatch(text) or len(text) > _MAX_DIGITS or int(text) < 1:
        raise ValueError(f"n is {excerpt(text)}, it must be a whole number from 1 on")
    return int(text)
