"""What the expression editor shows while somebody types: the next runs, or what is wrong (D-71)."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, JsonResponse

from jobs.models import ScheduleExpression
from jobs.rules.enums import ExpressionKind
from jobs.rules.preview import answer
from jobs.rules.schedule import parse
from jobs.rules.schedule.walltime import clock_change

COUNT = 5


def preview(request: HttpRequest, *, now: datetime) -> JsonResponse:
    """Answer ?kind&text&zone, and &id of an expression that is being edited."""
    given = request.GET
    zone = given.get("zone") or settings.SENTINEL_TIME_ZONE
    kind, text = _code(given.get("kind", "")), given.get("text", "")
    anchor = _anchor_of(given.get("id", ""), kind, text) or now
    question: dict[str, object] = {
        "type": kind,
        "expression": text,
        "zone": zone,
        "at": now.isoformat(),
        "anchor": anchor.isoformat(),
        "count": COUNT,
    }
    found = answer(question, zone=zone, now=now)
    times = found.get("times")
    if not isinstance(times, list) or kind is None:
        return JsonResponse({"valid": False, "msg": found["msg"]})
    where = ZoneInfo(zone)
    schedule = parse(ExpressionKind(kind), text, zone=where, saved_at=anchor)
    shown = [_shown(datetime.fromisoformat(time), where) for time in times]
    return JsonResponse(
        {"valid": True, "sentence": schedule.describe(), "zone": zone, "times": shown}
    )


def _shown(at: datetime, zone: ZoneInfo) -> dict[str, str | None]:
    return {
        "local": f"{at.astimezone(zone):%a %Y-%m-%d %H:%M:%S}",
        "utc": f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        "note": clock_change(zone, at),
    }


def _code(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else None


def _anchor_of(row_id: str, kind: int | None, text: str) -> datetime | None:
    """Return the anchor of a stored expression that is as it was; a changed one starts anew."""
    if kind is None or not (row_id.isascii() and row_id.isdigit() and len(row_id) < 19):
        return None
    rows = ScheduleExpression.objects.filter(pk=int(row_id), kind=kind, text=text)
    return rows.values_list("anchor_at", flat=True).first()
