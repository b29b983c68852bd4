"""What the tests of callbacks and alarms share: a clock that is set, a job that tells."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jobs.models import Job
from tasks_app import alarm_services
from tasks_app.models import Alarm, Task
from tasks_app.rules.notices import AlarmEvent
from tests.builders import NOW, make_app, make_job, make_task
from tests.flow.web_receiver import Receiver

_ago = itertools.count(1)


@dataclass
class SetClock:
    """Reads what it was set to."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


def telling_job(receiver: Receiver, **words: Any) -> Job:
    """Return a job whose changes of status the receiver is told."""
    app = make_app(name="mine")
    return make_job(app=app, callback_url=receiver.url("/callback"), **words)


def due_task(job: Job) -> Task:
    """Return a READY task that a worker may claim now."""
    return make_task(job=job, due_at=NOW - timedelta(minutes=next(_ago)))


def alarm(job: Job, *events: str, **words: Any) -> Alarm:
    words.setdefault("mails", ("ann@example.com",))
    spec = alarm_services.AlarmSpec(events=tuple(map(AlarmEvent, events)), **words)
    made = alarm_services.add_alarm(job.pk, spec, app=job.app, user="ann", now=NOW)
    job.refresh_from_db()
    return made


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(got.body) for got in receiver.got]
