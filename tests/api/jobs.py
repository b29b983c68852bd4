"""What the tests of /api/job/… share: jobs that are made over the wire."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from jobs.models import Job
from sentinel_project import clock
from sentinel_project.wire.fields import to_millis
from tests.caller import Caller

ZONE = "Asia/Shanghai"
NEW = {"jobName": "daily", "jobType": "dummy", "content": "{}", "timeZone": ZONE}


def added(expression: str, kind: int = 1) -> dict[str, Any]:
    return {"operatorMode": 1, "expressionType": kind, "expression": expression}


def after(job_id: int, offset: str = "cd", mode: int = 1, **words: Any) -> dict[str, Any]:
    return {"operatorMode": mode, "preJobId": job_id, "offsetStrategy": offset} | words


def submit(caller: Caller, name: str, *expressions: str, **fields: Any) -> Job:
    """Return a job that was submitted; expressions are cron."""
    schedule = [added(text) for text in expressions]
    wanted = NEW | {"jobName": name, "scheduleExpressionList": schedule} | fields
    answer = caller.post("/api/job/submit", **wanted)
    assert answer.code == 0, answer.msg
    return Job.objects.get(pk=answer.data["jobId"])


def slot_in(days: int, hour: int = 3) -> datetime:
    """Return a wall time of Shanghai some days from today."""
    today = clock.now() + timedelta(hours=8)
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=8)
    return midnight + timedelta(days=days, hours=hour)


def millis(at: datetime) -> int:
    answer = to_millis(at)
    assert answer is not None
    return answer
