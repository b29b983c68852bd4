"""Events: what a commit left behind is carried to the job and its dependents (X-8).

An event is marked processed only by a transaction that took the locks of the jobs it concerns
and read the state afterwards, so two upstreams that end at once cannot both overlook the other.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import OperationalError, connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet

from jobs import audit
from jobs.expected import Expectations
from jobs.facts import Facts
from jobs.models import DependencyEntry, Job, ScheduleExpression
from sentinel_project import dbfaults, prepared
from sentinel_project.clock import Clock
from tasks_app import ledger
from tasks_app.models import Event, Task
from tasks_app.planner import delays, naming
from tasks_app.planner.release import BEGINNING, Place, release_waiting
from tasks_app.rules.states import Finder

logger = logging.getLogger(__name__)

BATCH = 100
#: Jobs looked at in one transaction: a fan-out of thousands must not hold its locks for seconds.
JOBS_AT_ONCE = 50
_STEP_ASIDE = timedelta(seconds=30)
#: For an event whose jobs somebody else holds.
_LOCKED_PAUSE = timedelta(seconds=1)
#: A pass waits that long for locks, once: most are held for milliseconds, by another end.
_PATIENCE = "500ms"
#: Tries at an event that the database refused: the victim of a deadlock need not wait.
_TRIES = 3


def process_events(*, by: Finder, now: datetime, clock: Clock | None = None) -> int:
    """Process every event that is there; return how many. Safe to run anywhere, any time.

    ``by`` is kept with the events: beat finds what the workers' own look has left (X-8). ``clock``
    goes on during the pass; without one the pass takes no time.
    """
    each = _Pass(by, now, clock or (lambda: now))
    processed = 0
    while events := _unprocessed(now):
        idle = [event.pk for event in events if not vars(event)["is_awaited"]]
        processed += prepared.write(
            Event, {"pk__in": idle, "processed_at": None}, {"processed_at": now}
        )
        for event in events:
            if vars(event)["is_awaited"]:
                processed += each.process(event)
        if len(events) < BATCH:
            break
    return processed


@dataclass(slots=True)
class _Pass:
    """One pass over the events; whether it has waited for a lock in vain already."""

    by: Finder
    now: datetime
    clock: Clock
    is_patient: bool = True

    def process(self, event: Event) -> bool:
        """Process one event; one that fails, or is held up, steps aside so that it stops no other.

        It does so from the clock on: the pass itself may have taken longer than that.
        """
        rows = Event.objects.filter(pk=event.pk)
        try:
            self._carry_stubbornly(event)
        except Exception as error:
            if dbfaults.is_locked(error):
                logger.info("event.held_up", extra={"event_id": event.pk, "job_id": event.job_id})
                rows.update(not_before=self.clock() + _LOCKED_PAUSE)
            else:
                extra = {"event_id": event.pk, "job_id": event.job_id}
                logger.exception("event.failed", extra=extra)
                rows.update(not_before=self.clock() + _STEP_ASIDE, faults=F("faults") + 1)
            return False
        return True

    def _carry_stubbornly(self, event: Event) -> None:
        for _ in range(_TRIES - 1):
            try:
                return self._carry(event)
            except OperationalError as error:
                if dbfaults.is_locked(error):
                    raise
                logger.warning("event.again", extra={"event_id": event.pk}, exc_info=True)
        return self._carry(event)

    def _carry(self, event: Event) -> None:
        done = {"processed_at": self.now, "processed_by": self.by.value}
        job_ids = _concerned(event)
        for part in parts_of(job_ids):
            behind: Place | None = BEGINNING
            while behind is not None:
                with transaction.atomic():
                    jobs = self._locked(part)
                    behind = _look_at(jobs, event, behind, self.now)
                    if behind is None and part[-1] == job_ids[-1]:
                        prepared.write(Event, {"pk": event.pk, "processed_at": None}, done)

    def _locked(self, job_ids: list[int]) -> list[Job]:
        """Lock the jobs without waiting, but for once in the pass and not for long."""
        try:
            with transaction.atomic():
                return _locked_at_once(job_ids)
        except OperationalError as error:
            if not (self.is_patient and dbfaults.is_locked(error)):
                raise
        self.is_patient = False
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
        jobs = _locked(job_ids)
        self.is_patient = True
        return jobs


def parts_of(job_ids: Sequence[int]) -> Iterator[list[int]]:
    """Split jobs into those that are locked together."""
    for start in range(0, len(job_ids), JOBS_AT_ONCE):
        yield list(job_ids[start : start + JOBS_AT_ONCE])


@prepared.select
def _unprocessed(now: datetime) -> QuerySet[Event]:
    rows = Event.objects.filter(processed_at__isnull=True)
    rows = rows.filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
    is_awaited = Q(task__isnull=True) | Q(ledger.is_awaited())
    rows = rows.annotate(is_awaited=ExpressionWrapper(is_awaited, output_field=BooleanField()))
    return rows.order_by("id")[:BATCH]


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
def _locked_at_once(job_ids: Sequence[int]) -> QuerySet[Job]:
    can_refuse = connection.features.has_select_for_update_nowait
    rows = Job.objects.select_for_update(no_key=True, nowait=can_refuse)
    return rows.filter(pk__in=job_ids).order_by("pk")


@prepared.select
def _task(task_id: int) -> QuerySet[Task]:
    return Task.objects.filter(pk=task_id)


def _look_at(jobs: list[Job], event: Event, behind: Place, now: datetime) -> Place | None:
    """Name and release in jobs that are locked; ``event.task`` is read anew under the locks.

    Returns behind which waiting task to go on; None: all were looked at.
    """
    ended = next(iter(_task(event.task_id)), None) if event.task_id else None
    expectations = Expectations()
    expectations.take(jobs)
    job_ids = [job.pk for job in jobs]
    if behind == BEGINNING:
        for job_id in job_ids:
            _renew(expectations.facts(job_id), event, ended, expectations, now)
    by = "" if ended else _change(event)
    return release_waiting(job_ids, expectations, behind=behind, now=now, ended=ended, by=by)


def _change(event: Event) -> str:
    """Return what the job's event was left for: an edit and its event have the same instant."""
    user = audit.author(Job, event.job_id, event.created_at)
    author = f" by {user}" if user else ""
    return f"a change of job {event.job_id}{author}"


def _renew(
    facts: Facts, event: Event, ended: Task | None, expectations: Expectations, now: datetime
) -> None:
    """Open what the event names, and begin the delays of its own job anew."""
    is_own = facts.job.pk == event.job_id
    if ended is None and is_own:
        naming.name_since_pause(facts, expectations, now=now)
    elif ended is not None and not is_own and facts.is_named:
        naming.name_runs(facts, ended, expectations, now=now)
    if is_own and facts.delays:
        delays.restart(facts)


def release_apart(job_ids: Sequence[int], *, now: datetime) -> None:
    """Look at all WAITING tasks of jobs, in as many transactions as keep each of them short."""
    for part in parts_of(sorted(job_ids)):
        behind: Place | None = BEGINNING
        while behind is not None:
            with transaction.atomic():
                expectations = Expectations()
                expectations.take(_locked(part))
                behind = release_waiting(part, expectations, behind=behind, now=now)
