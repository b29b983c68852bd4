"""Schedule expressions: texts of four kinds, read into values that answer with slots (D-11).

A schedule knows its zone and its anchor, and nothing else: the same text, zone and anchor always
give the same slots. A delay has no slots of its own, because they depend on when runs end (D-17).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from jobs.rules.enums import ExpressionKind

from .cron import parse_cron
from .delay import Delay, parse_delay
from .iso8601 import parse_iso8601, read_iso8601
from .rate import parse_rate, read_rate
from .refusals import excerpt, refusal

__all__ = ["Delay", "Schedule", "needs_anchor", "parse", "parse_live"]


class Schedule(Protocol):
    """A series of slots: cron, rate or ISO 8601."""

    @property
    def text(self) -> str:
        """The expression, normalised."""

    def after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after ``instant``, in UTC; None: the series is over."""

    def before(self, instant: datetime) -> datetime | None:
        """Return the last slot strictly before ``instant``, in UTC; None: there is none."""

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the slots from ``start`` up to ``end``, which is excluded."""

    def describe(self) -> str:
        """Return the expression as an English sentence."""


def parse(
    kind: ExpressionKind, text: str, *, zone: ZoneInfo, saved_at: datetime
) -> Schedule | Delay:
    """Return the schedule ``text`` names in ``zone``, or refuse it with a correct example.

    ``saved_at`` is when the expression was saved: it anchors what names no start (D-16, D-18).
    """
    return _parse(kind, text, zone, saved_at if needs_anchor(kind, text) else None)


def parse_live(
    kind: ExpressionKind, text: str, *, zone: ZoneInfo, saved_at: datetime, now: datetime
) -> Schedule | Delay:
    """Parse, and refuse what has no slot at ``now`` or later (D-14)."""
    schedule = parse(kind, text, zone=zone, saved_at=saved_at)
    if isinstance(schedule, Delay) or schedule.after(now - timedelta(microseconds=1)) is not None:
        return schedule
    raise refusal(
        f"{excerpt(text)} never fires after {now.astimezone(zone):%Y-%m-%d %H:%M:%S}",
        example=_EXAMPLES[kind],
    )


_EXAMPLES = {
    ExpressionKind.CRON: "0 0 12 * * ?",
    ExpressionKind.RATE: "h(2)",
    ExpressionKind.DELAY: "m(30)",
    ExpressionKind.ISO8601: "R//PT30M",
}


@lru_cache(maxsize=4096)
def needs_anchor(kind: ExpressionKind, text: str) -> bool:
    """Tell whether the saving instant decides when ``text`` fires."""
    match kind:
        case ExpressionKind.CRON:
            return False
        case ExpressionKind.RATE:
            return read_rate(text).anchor is None
        case ExpressionKind.DELAY:
            return True
        case ExpressionKind.ISO8601:
            return read_iso8601(text).start is None


@lru_cache(maxsize=4096)
def _parse(
    kind: ExpressionKind, text: str, zone: ZoneInfo, saved_at: datetime | None
) -> Schedule | Delay:
    match kind:
        case ExpressionKind.CRON:
            return parse_cron(text, zone=zone)
        case ExpressionKind.RATE:
            return parse_rate(text, zone=zone, saved_at=saved_at)
        case ExpressionKind.DELAY:
            return parse_delay(text, zone=zone)
        case ExpressionKind.ISO8601:
            return parse_iso8601(text, zone=zone, saved_at=saved_at)
