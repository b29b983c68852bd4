"""Events: what a commit left behind is carried to the job and its dependents (X-8).

An event is marked processed only by a transaction that took the locks of the jobs it concerns
and read the state afterwards, so two upstreams that end at once cannot both overlook the other.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import OperationalError, transaction
from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet

from jobs import audit
from jobs.expected import Expectations
from jobs.models import DependencyEntry, Job, ScheduleExpression
from sentinel_project import prepared
from tasks_app import ledger
from tasks_app.models import Event, Task
from tasks_app.planner import delays, naming
from tasks_app.planner.release import release_waiting
from tasks_app.rules.states import Finder

logger = logging.getLogger(__name__)

BATCH = 100
#: Jobs looked at in one transaction: a fan-out of thousands must not hold its locks for seconds.
JOBS_AT_ONCE = 50
_STEP_ASIDE = timedelta(seconds=30)
#: Tries at an event that the database refused: the victim of a deadlock need not wait.
_TRIES = 3


def process_events(*, by: Finder, now: datetime) -> int:
    """Process every event that is there; return how many. Safe to run anywhere, any time.

    ``by`` is kept with the events: beat finds what the workers' own look has left (X-8).
    """
    processed = 0
    while events := _unprocessed(now):
        idle = [event.pk for event in events if not vars(event)["is_awaited"]]
        processed += prepared.write(
            Event, {"pk__in": idle, "processed_at": None}, {"processed_at": now}
        )
        for event in events:
            if vars(event)["is_awaited"]:
                processed += _process(event, by, now)
        if len(events) < BATCH:
            break
    return processed


@prepared.select
def _unprocessed(now: datetime) -> QuerySet[Event]:
    rows = Event.objects.filter(processed_at__isnull=True)
    rows = rows.filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
    is_awaited = Q(task__isnull=True) | Q(ledger.is_awaited())
    rows = rows.annotate(is_awaited=ExpressionWrapper(is_awaited, output_field=BooleanField()))
    return rows.order_by("id")[:BATCH]


def _process(event: Event, by: Finder, now: datetime) -> bool:
    """Process one event; one that fails steps aside so that it stops no other."""
    try:
        _carry_stubbornly(event, by, now)
    except Exception:
        logger.exception("event.failed", extra={"event_id": event.pk, "job_id": event.job_id})
        rows = Event.objects.filter(pk=event.pk)
        rows.update(not_before=now + _STEP_ASIDE, faults=F("faults") + 1)
        return False
    return True


def _carry_stubbornly(event: Event, by: Finder, now: datetime) -> None:
    for _ in range(_TRIES - 1):
        try:
            return _carry(event, by, now)
        except OperationalError:
            logger.warning("event.again", extra={"event_id": event.pk}, exc_info=True)
    return _carry(event, by, now)


def _carry(event: Event, by: Finder, now: datetime) -> None:
    done = {"processed_at": now, "processed_by": by.value}
    job_ids = _concerned(event)
    for start in range(0, len(job_ids), JOBS_AT_ONCE):
        part = job_ids[start : start + JOBS_AT_ONCE]
        with transaction.atomic():
            _look_at(part, event, now)
            if start + JOBS_AT_ONCE >= len(job_ids):
                prepared.write(Event, {"pk": event.pk, "processed_at": None}, done)


def _concerned(event: Event) -> list[int]:
    """Return the job of the event and its dependents, in the order in which they are locked.

    A job without a schedule has the runs that its upstreams give it (D-33): when the job changed,
    and not merely one of its tasks, whoever depends on such a dependent is concerned too.
    """
    found = {event.job_id, *_dependents(event.job_id)}
    border = found - {event.job_id} if event.task_id is None else set()
    while border:
        passing_on = [job_id for job_id in border if not _has_schedule(job_id)]
        border = {job_id for passed in passing_on for job_id in _dependents(passed)} - found
        found |= border
    return sorted(found)


@prepared.select
def _has_schedule(job_id: int) -> QuerySet[ScheduleExpression, int]:
    return ScheduleExpression.objects.filter(job_id=job_id).values_list("pk", flat=True)[:1]


@prepared.select
def _dependents(job_id: int) -> QuerySet[DependencyEntry, int]:
    return DependencyEntry.objects.filter(upstream_id=job_id).values_list("job_id", flat=True)


@prepared.select
def _locked(job_ids: Sequence[int]) -> QuerySet[Job]:
    return Job.objects.select_for_update(no_key=True).filter(pk__in=job_ids).order_by("pk")


@prepared.select
def _task(task_id: int) -> QuerySet[Task]:
    return Task.objects.filter(pk=task_id)


def _look_at(job_ids: list[int], event: Event, now: datetime) -> None:
    """Lock the jobs, name and release; ``event.task`` is read anew under the locks."""
    jobs = _locked(job_ids)
    ended = next(iter(_task(event.task_id)), None) if event.task_id else None
    expectations = Expectations()
    expectations.take(jobs)
    for job_id in job_ids:
        facts = expectations.facts(job_id)
        if ended is None and job_id == event.job_id:
            naming.name_since_pause(facts, expectations, now=now)
        elif ended is not None and job_id != event.job_id and facts.is_named:
            naming.name_runs(facts, ended, expectations, now=now)
        if job_id == event.job_id and facts.delays:
            delays.restart(facts)
    by = "" if ended else _change(event)
    release_waiting(job_ids, expectations, now=now, ended=ended, by=by)


def _change(event: Event) -> str:
    """Return what the job's event was left for: an edit and its event have the same instant."""
    user = audit.author(Job, event.job_id, event.created_at)
    author = f" by {user}" if user else ""
    return f"a change of job {event.job_id}{author}"
