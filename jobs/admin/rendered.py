"""What the job editor shows below the content: the same with its placeholders filled in (D-86)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.http import HttpRequest, JsonResponse

from jobs import rendering
from jobs.models import App, Job
from jobs.rules.enums import ContentType
from sentinel_project.errors import SentinelError
from sentinel_project.wire import jsontext


def rendered(request: HttpRequest, *, sees_scripts: bool, now: datetime) -> JsonResponse:
    """Answer a POST of the fields of a job's page; a run due now is taken as an example."""
    try:
        work, zone = _work(request.POST, sees_scripts=sees_scripts)
        found = rendering.trial(work, now, zone)
    except (SentinelError, ValueError, KeyError) as problem:
        return JsonResponse({"valid": False, "msg": str(problem)})
    return JsonResponse({"valid": True, "content": found.content, "params": found.extra})


def _work(given: Mapping[str, str], *, sees_scripts: bool) -> tuple[rendering.Work, ZoneInfo]:
    """Return what the fields say; ValueError: one of them cannot be read yet."""
    job = Job.objects.select_related("app").filter(pk=_number(given.get("id", "0"))).first()
    app = job.app if job else App.objects.filter(pk=_number(given.get("app", "0"))).first()
    if app is None:
        raise ValueError("choose the app first")
    extra: Any = jsontext.parse(given.get("extra") or "{}", name="parameters")
    if not isinstance(extra, dict):
        raise ValueError("the parameters must be a JSON object")  # noqa: TRY004 - of a form
    content_type = ContentType(_number(given.get("content_type", "1")))
    if content_type is ContentType.SCRIPT and not sees_scripts:
        raise ValueError("you may not see scripts")
    work = rendering.Work(
        app=app,
        job_type=given.get("job_type", ""),
        content=given.get("content", "").replace("\r\n", "\n"),
        content_type=content_type,
        extra=extra,
        group_id=_number(given.get("worker_group", "1")),
        job_id=job.pk if job else 0,
    )
    return work, _zone(given.get("time_zone") or settings.SENTINEL_TIME_ZONE)


def _zone(name: str) -> ZoneInfo:
    if name not in available_timezones():
        raise ValueError(f"{name[:60]!r} is no time zone")
    return ZoneInfo(name)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
