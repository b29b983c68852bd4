"""Preview: the next slots of an expression, or the window of an offset, for one question (D-71).

Questions and answers are the plain dicts of ``manage.py preview``; a refusal is an answer too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sentinel_project.errors import InvalidParameters

from .enums import ExpressionKind
from .offsets import parse_offset, window
from .schedule import Delay, Schedule, parse, parse_live
from .schedule.walltime import FIRST, LAST, instant, resolve, wall_micros

Question = Mapping[str, object]
MAX_COUNT = 10_000


def answer(question: Question, *, zone: str, now: datetime) -> dict[str, object]:
    """Answer one question; ``zone`` and ``now`` stand in for what it does not name."""
    try:
        where = _zone(question.get("zone"), default=zone)
        at = _instant(question, "at", where) or now
        if question.get("offset") is not None:
            return {"valid": True, **_span(_text(question, "offset"), at, where)}
        return {"valid": True, "times": _times(question, at, where)}
    except InvalidParameters as refusal:
        return {"valid": False, "msg": str(refusal)}


def _span(text: str, at: datetime, zone: ZoneInfo) -> dict[str, str]:
    span = window(parse_offset(text), at, zone)
    return {"from": _shown(span.start, zone), "to": _shown(span.end, zone)}


def _times(question: Question, at: datetime, zone: ZoneInfo) -> list[str]:
    kind, text = _kind(question), _text(question, "expression")
    count = _count(question)
    saved_at = _instant(question, "anchor", zone) or at
    if question.get("before"):
        # Looking back, a series that is over is still worth listing.
        slots = _backwards(parse(kind, text, zone=zone, saved_at=saved_at), at)
    else:
        slots = _forwards(
            parse_live(kind, text, zone=zone, saved_at=saved_at, now=at), at, saved_at
        )
    return [_shown(slot, zone) for slot, _ in zip(slots, range(count), strict=False)]


def _forwards(schedule: Schedule | Delay, at: datetime, saved_at: datetime) -> Iterator[datetime]:
    if isinstance(schedule, Delay):
        # Only the first run of a delay is known: later ones hang on when runs end (D-17).
        first = schedule.after_end(saved_at)
        return iter([first] if first > at else [])
    return _walk(schedule.after, at)


def _backwards(schedule: Schedule | Delay, at: datetime) -> Iterator[datetime]:
    return iter([]) if isinstance(schedule, Delay) else _walk(schedule.before, at)


def _walk(step: Callable[[datetime], datetime | None], at: datetime) -> Iterator[datetime]:
    slot = step(at)
    while slot is not None:
        yield slot
        slot = step(slot)


def _shown(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat()


def _zone(name: object, *, default: str) -> ZoneInfo:
    key = default if name is None else name
    try:
        return ZoneInfo(str(key))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidParameters(
            f"zone {str(key)[:60]!r} is unknown; a correct example: Asia/Shanghai"
        ) from error


def _kind(question: Question) -> ExpressionKind:
    kind = question.get("type")
    for each in ExpressionKind:
        if kind == each and not isinstance(kind, bool):
            return each
    kinds = ", ".join(f"{each.value} {each.name}" for each in ExpressionKind)
    raise InvalidParameters(f"type {str(kind)[:60]!r} is unknown, use one of {kinds}")


def _text(question: Question, key: str) -> str:
    text = question.get(key)
    if not isinstance(text, str):
        raise InvalidParameters(f"{key} must be a text, got {type(text).__name__}")
    return text


def _count(question: Question) -> int:
    count = question.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_COUNT:
        raise InvalidParameters(f"count must be a whole number from 1 to {MAX_COUNT}")
    return count


def _instant(question: Question, key: str, zone: ZoneInfo) -> datetime | None:
    """Return an instant of the question; a naive one is in ``zone``."""
    text = question.get(key)
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise InvalidParameters(
            f"{key} {str(text)[:60]!r} is no time; a correct example: 2026-03-02T12:00:00"
        ) from error
    if read.tzinfo is None:
        read = instant(resolve(zone, wall_micros(read)))
    if not FIRST <= read <= LAST:
        raise InvalidParameters(f"{key} {str(text)[:60]!r} lies too near the end of the calendar")
    return read
