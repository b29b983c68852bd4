"""What the tests of schedules share: short ways to say an expression, a zone and its slots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from jobs.rules.enums import ExpressionKind
from jobs.rules.schedule import Delay, Schedule, parse
from sentinel_project.errors import InvalidParameters

SAVED = datetime(2026, 1, 1, tzinfo=UTC)


def schedule(
    kind: ExpressionKind, text: str, zone: str = "UTC", saved_at: datetime = SAVED
) -> Schedule:
    parsed = parse(kind, text, zone=ZoneInfo(zone), saved_at=saved_at)
    assert not isinstance(parsed, Delay)
    return parsed


def cron(text: str, zone: str = "UTC") -> Schedule:
    return schedule(ExpressionKind.CRON, text, zone)


def slots(of: Schedule, zone: str, after: str, count: int) -> list[str]:
    """Return the next slots after a wall time, as the zone's clocks show them."""
    return _walk(of, zone, after, count, back=False)


def slots_back(of: Schedule, zone: str, before: str, count: int) -> list[str]:
    """Return the previous slots before a wall time, newest first."""
    return _walk(of, zone, before, count, back=True)


def _walk(of: Schedule, zone: str, start: str, count: int, *, back: bool) -> list[str]:
    at: datetime | None = datetime.fromisoformat(start)
    assert at is not None
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(zone))
    found: list[str] = []
    while len(found) < count:
        at = of.before(at) if back else of.after(at)
        if at is None:
            break
        found.append(at.astimezone(ZoneInfo(zone)).isoformat())
    return found


def days(text: str, month: str, zone: str = "UTC") -> list[int]:
    """Return on which days of a month ("2026-03") a cron expression fires."""
    start = datetime.fromisoformat(f"{month}-01").replace(tzinfo=ZoneInfo(zone))
    end = (start + timedelta(days=32)).replace(day=1)
    fired = {slot.astimezone(ZoneInfo(zone)).day for slot in cron(text, zone).between(start, end)}
    return sorted(fired)


def times(text: str, *, limit: int = 100) -> list[str]:
    """Return at which times of 2026-03-04, a Wednesday, a cron expression fires."""
    start = datetime(2026, 3, 4, tzinfo=UTC)
    found = islice(cron(text).between(start, start + timedelta(days=1)), limit)
    return [f"{slot:%H:%M:%S}" for slot in found]


def refused(kind: ExpressionKind, text: str, zone: str = "Asia/Shanghai") -> str:
    """Return the message with which ``text`` is refused."""
    with pytest.raises(InvalidParameters) as caught:
        parse(kind, text, zone=ZoneInfo(zone), saved_at=SAVED)
    return str(caught.value)
