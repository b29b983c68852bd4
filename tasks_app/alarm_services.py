"""What is done to alarms and deliveries (D-84). All of it is audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from jobs import audit
from jobs.models import App, Job
from jobs.rules.enums import AppKind
from jobs.selectors import jobs_of
from jobs.services.edits import locked_job
from sentinel_project.errors import InvalidParameters, NotFound, Refused
from tasks_app.models import Alarm, Delivery
from tasks_app.rules.notices import AlarmEvent, DeliveryState

MAX_ALARMS = 20
#: Of each kind; a thousand would be a way to send bulk mail.
MAX_RECEIVERS = 20
_NONE = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmSpec:
    """An alarm as it is asked for; a deadline of zero is none."""

    events: tuple[AlarmEvent, ...] = ()
    start_within: timedelta = timedelta(0)
    finish_within: timedelta = timedelta(0)
    webhooks: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    quiet_for: timedelta = timedelta(0)
    is_enabled: bool = True


@transaction.atomic
def add_alarm(job_id: int, spec: AlarmSpec, *, app: App, user: str, now: datetime) -> Alarm:
    """Have somebody told when the job's runs do not go as they should."""
    job = locked_job(job_id, app)
    if job.alarms.count() >= MAX_ALARMS:
        raise Refused(f"job {job_id} has {MAX_ALARMS} alarms, which is as many as a job may have")
    _check(spec)
    alarm = Alarm.objects.create(job=job, created_by=user, created_at=now, **_columns(spec))
    _note_alarms(job)
    audit.record("alarm.add", alarm, app=app, user=user, now=now, after=shown(alarm))
    return alarm


@transaction.atomic
def edit_alarm(
    alarm_id: int, changes: Mapping[str, Any], *, app: App, user: str, now: datetime
) -> Alarm:
    """Change what is given, and leave the rest."""
    alarm = _locked(alarm_id, app)
    before = shown(alarm)
    spec = AlarmSpec(**{**_spec(alarm), **changes})
    _check(spec)
    if {"start_within", "finish_within", "is_enabled"} & set(changes):
        # Begin again as one that was added now would, with what its old deadlines left open.
        alarm.looked_at = now - max(alarm.start_within or _NONE, alarm.finish_within or _NONE)
    for name, value in _columns(spec).items():
        setattr(alarm, name, value)
    alarm.save()
    audit.record(
        "alarm.edit", alarm, app=app, user=user, now=now, before=before, after=shown(alarm)
    )
    return alarm


@transaction.atomic
def delete_alarm(alarm_id: int, *, app: App, user: str, now: datetime) -> int:
    """Tell nobody any more; what is on its way is delivered. Return the alarm's job."""
    alarm = _locked(alarm_id, app)
    audit.record("alarm.delete", alarm, app=app, user=user, now=now, before=shown(alarm))
    Alarm.objects.filter(pk=alarm_id).delete()
    _note_alarms(alarm.job)
    return alarm.job_id


@transaction.atomic
def redeliver(delivery_id: int, *, app: App, user: str, now: datetime) -> Delivery:
    """Send a delivery once more, with as many tries as a new one."""
    found = Delivery.objects.select_for_update(of=("self",), no_key=True).filter(pk=delivery_id)
    delivery = found.filter(_seen_by(app)).first()
    if delivery is None:
        raise NotFound(f"no delivery {delivery_id}")
    if delivery.state == DeliveryState.PENDING:
        raise Refused(f"delivery {delivery_id} is still on its way")
    before = {"state": delivery.state, "tries": delivery.tries}
    delivery.state, delivery.tries = DeliveryState.PENDING.value, 0
    delivery.next_at, delivery.ended_at = now, None
    delivery.save(update_fields=["state", "tries", "next_at", "ended_at"])
    after = {"state": delivery.state, "tries": 0}
    audit.record(
        "delivery.redeliver", delivery, app=app, user=user, now=now, before=before, after=after
    )
    return delivery


def alarms_of(app: App, job_id: int | None) -> QuerySet[Alarm]:
    """Return the alarms of a job, or of all jobs that the app may see."""
    wanted = Q() if job_id is None else Q(job_id=job_id)
    return Alarm.objects.filter(wanted, job__in=jobs_of(app)).order_by("pk")


def alarm_of(app: App, alarm_id: int) -> Alarm:
    """Return an alarm; another app's is unknown (W-21)."""
    alarm = alarms_of(app, None).filter(pk=alarm_id).first()
    if alarm is None:
        raise NotFound(f"no alarm {alarm_id}")
    return alarm


def deliveries_of(app: App, **filters: Any) -> QuerySet[Delivery]:
    return Delivery.objects.filter(_seen_by(app), **filters).order_by("-pk")


def _seen_by(app: App) -> Q:
    """What is about the system is for ADMIN apps."""
    own = Q(job__in=jobs_of(app))
    return own | Q(job__isnull=True) if app.kind == AppKind.ADMIN else own


def shown(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm for the audit log."""
    columns = asdict(AlarmSpec(**_spec(alarm)))
    return {
        name: value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in columns.items()
    } | {"job": alarm.job_id}


def _check(spec: AlarmSpec) -> None:
    """Refuse an alarm that can never be raised, or would tell nobody."""
    problems = []
    for event, name, within in (
        (AlarmEvent.NOT_STARTED, "startWithin", spec.start_within),
        (AlarmEvent.NOT_FINISHED, "finishWithin", spec.finish_within),
    ):
        if (event in spec.events) != bool(within):
            problems.append(
                f"{name} must be more than 0 with the event {event}, and 0 without it,"
                f" not {within.total_seconds():g}"
            )
    if not spec.events:
        problems.append(f"events must name at least one of {', '.join(AlarmEvent)}")
    if not spec.webhooks and not spec.mails:
        problems.append("webhooks or mails must name whom to tell")
    if problems:
        raise InvalidParameters.of(problems)


def _columns(spec: AlarmSpec) -> dict[str, Any]:
    return {
        "events": [event.value for event in dict.fromkeys(spec.events)],
        "start_within": spec.start_within or None,
        "finish_within": spec.finish_within or None,
        "webhooks": list(dict.fromkeys(spec.webhooks)),
        "mails": list(dict.fromkeys(spec.mails)),
        "quiet_for": spec.quiet_for,
        "is_enabled": spec.is_enabled,
    }


def _spec(alarm: Alarm) -> dict[str, Any]:
    return {
        "events": tuple(map(AlarmEvent, alarm.events)),
        "start_within": alarm.start_within or timedelta(0),
        "finish_within": alarm.finish_within or timedelta(0),
        "webhooks": tuple(alarm.webhooks),
        "mails": tuple(alarm.mails),
        "quiet_for": alarm.quiet_for,
        "is_enabled": alarm.is_enabled,
    }


def _locked(alarm_id: int, app: App) -> Alarm:
    """Return the alarm, its job locked first, as whoever adds one does."""
    Job.objects.select_for_update(no_key=True).get(pk=alarm_of(app, alarm_id).job_id)
    return alarm_of(app, alarm_id)


def _note_alarms(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(has_alarms=job.alarms.exists())
