"""Events: what a commit left behind is carried to the job and its dependents (X-8).

An event is marked processed only by a transaction that took the locks of the jobs it concerns
and read the state afterwards, so two upstreams that end at once cannot both overlook the other.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import F, QuerySet

from jobs import audit
from jobs.expected import Expectations
from jobs.facts import Facts
from jobs.models import Job
from sentinel_project import dbfaults, prepared
from sentinel_project.clock import Clock
from tasks_app.models import Event, Task
from tasks_app.planner import delays, naming
from tasks_app.planner.bundles import BATCH, Bundle, bundled, unprocessed, unprocessed_behind
from tasks_app.planner.release import BEGINNING, Place, release_waiting
from tasks_app.rules.states import Finder

logger = logging.getLogger(__name__)

#: Jobs looked at in one transaction: a fan-out of thousands must not hold its locks for seconds.
JOBS_AT_ONCE = 50
_STEP_ASIDE = timedelta(seconds=30)
#: For an event whose jobs somebody else holds.
_LOCKED_PAUSE = timedelta(seconds=1)
#: A pass waits that long for locks, once: most are held for milliseconds, by an opener or an edit.
_PATIENCE = "500ms"
#: Tries at an event that the database refused: the victim of a deadlock need not wait.
_TRIES = 3
#: How often a pass looks for what was left to it: a worker's slot has other things to do.
_LOOKS = 10
#: Keys of advisory locks are shared by all that use the database; ours begin here.
_CARRIERS = 0x53454E << 40


def process_events(*, by: Finder, now: datetime, clock: Clock | None = None) -> int:
    """Process every event that is there; return how many. Safe to run anywhere, any time.

    ``by`` is kept with the events: beat finds what the workers' own look has left (X-8). ``clock``
    goes on during the pass; without one the pass takes no time.
    """
    each = _Pass(by, now, clock or (lambda: now))
    for _ in range(_LOOKS):
        each.look()
        if not each.was_carrier:
            break
        each.now = each.clock()
    return each.processed


@dataclass(slots=True)
class _Pass:
    """One pass over the events.

    ``is_patient``: it has not waited for a lock in vain yet. ``was_carrier``: in its last look it
    had jobs whose events others will have left to it.
    """

    by: Finder
    now: datetime
    clock: Clock
    is_patient: bool = True
    was_carrier: bool = False
    processed: int = 0

    def look(self) -> None:
        """Process the events that are there."""
        self.was_carrier = False
        events = unprocessed(self.now)
        while events:
            end, is_all = events[-1].pk, len(events) < BATCH
            awaited = [event for event in events if vars(event)["is_awaited"]]
            idle = [event.pk for event in events if not vars(event)["is_awaited"]]
            self.processed += prepared.write(
                Event, {"pk__in": idle, "processed_at": None}, {"processed_at": self.now}
            )
            for bundle in bundled(awaited, end=end if is_all else None):
                self._process(bundle)
            events = [] if is_all else unprocessed_behind(end, self.now)

    def _process(self, bundle: Bundle) -> None:
        """Process a bundle; what fails, or is held up, steps aside so that it stops no other.

        It does so from the clock on: the pass itself may have taken longer than that.
        """
        first = next(iter(bundle.concerned))
        words = {"event_id": first.pk, "job_id": first.job_id, "events": len(bundle.concerned)}
        try:
            self._carry_stubbornly(bundle)
        except Exception as error:
            is_locked = dbfaults.is_locked(error)
            if len(bundle.concerned) > 1:  # the trouble of one is not to be that of the others
                level = logging.INFO if is_locked else logging.WARNING
                logger.log(level, "event.apart", extra=words, exc_info=not is_locked)
                for alone in bundle.apart():
                    self._process(alone)
            elif is_locked:
                logger.info("event.held_up", extra=words)
                _step_aside(first, until=self.clock() + _LOCKED_PAUSE)
            else:
                logger.exception("event.failed", extra=words)
                _step_aside(first, until=self.clock() + _STEP_ASIDE, faults=F("faults") + 1)

    def _carry_stubbornly(self, bundle: Bundle) -> None:
        for _ in range(_TRIES - 1):
            try:
                return self._carry(bundle)
            except OperationalError as error:
                if dbfaults.is_locked(error):
                    raise
                first = next(iter(bundle.concerned))
                logger.warning("event.again", extra={"event_id": first.pk}, exc_info=True)
        return self._carry(bundle)

    def _carry(self, bundle: Bundle) -> None:
        """Look at the jobs of a bundle, part by part, and mark each event with the last of its own.

        Where another pass is the carrier of a job, the rest is left to that one.
        """
        looked_at: dict[Event, set[int]] = {}
        for part in parts_of(bundle.job_ids):
            if not self._carry_to(part, looked_at, bundle):
                return

    def _carry_to(self, part: list[int], looked_at: dict[Event, set[int]], bundle: Bundle) -> bool:
        events: list[Event] | None = None
        behind: Place | None = BEGINNING
        while behind is not None:
            done = 0
            with transaction.atomic():
                if not self._becomes_carrier(part) and events is None:
                    return False
                jobs = self._locked(part)
                events = bundle.pending(part, self.now) if events is None else events
                behind = self._look_as_of(jobs, events, behind) if events else None
                if behind is None:
                    for event in events:
                        looked_at.setdefault(event, set()).update(part)
                    ids = [e.pk for e in events if bundle.concerned[e] <= looked_at[e]]
                    done = self._mark(ids)
            self.processed += done
        return True

    def _look_as_of(self, jobs: list[Job], events: Sequence[Event], behind: Place) -> Place | None:
        """Look as of the newest event at least: it would find nothing before its own instant."""
        now = max(self.now, *(event.created_at for event in events))
        return _look_at(jobs, events, behind, now)

    def _mark(self, event_ids: list[int]) -> int:
        done = {"processed_at": self.now, "processed_by": self.by.value}
        return prepared.write(Event, {"pk__in": event_ids, "processed_at": None}, done)

    def _becomes_carrier(self, job_ids: list[int]) -> bool:
        """Say, until the commit, that this pass carries the events of jobs; False: another does.

        SQLite has one writer at a time, which waits for the one before it.
        """
        if connection.vendor != "postgresql":
            return True
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM unnest(%s::bigint[]) AS key"
                " WHERE pg_try_advisory_xact_lock(key)",
                [[_CARRIERS + job_id for job_id in job_ids]],
            )
            (taken,) = cursor.fetchone()
        # Also what it has only for a moment was another's reason to leave an event.
        self.was_carrier = self.was_carrier or taken > 0
        return bool(taken == len(job_ids))

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


def _step_aside(event: Event, *, until: datetime, **words: Any) -> None:
    """Leave an event alone for a while, unless somebody has carried it meanwhile."""
    rows = Event.objects.filter(pk=event.pk, processed_at=None)
    rows.update(not_before=until, **words)


def parts_of(job_ids: Sequence[int]) -> Iterator[list[int]]:
    """Split jobs into those that are locked together."""
    for start in range(0, len(job_ids), JOBS_AT_ONCE):
        yield list(job_ids[start : start + JOBS_AT_ONCE])


@prepared.select
def _locked(job_ids: Sequence[int]) -> QuerySet[Job]:
    return Job.objects.select_for_update(no_key=True).filter(pk__in=job_ids).order_by("pk")


@prepared.select
def _locked_at_once(job_ids: Sequence[int]) -> QuerySet[Job]:
    can_refuse = connection.features.has_select_for_update_nowait
    rows = Job.objects.select_for_update(no_key=True, nowait=can_refuse)
    return rows.filter(pk__in=job_ids).order_by("pk")


@prepared.select
def _tasks(task_ids: Sequence[int]) -> QuerySet[Task]:
    return Task.objects.filter(pk__in=task_ids)


def _look_at(
    jobs: list[Job], events: Sequence[Event], behind: Place, now: datetime
) -> Place | None:
    """Name and release in jobs that are locked: for a changed job, or for ends.

    The tasks that ended are read anew under the locks. Returns behind which waiting task to go on;
    None: all were looked at.
    """
    change = next((event for event in events if event.task_id is None), None)
    ended = None if change else _ended(events)
    expectations = Expectations()
    expectations.take(jobs)
    job_ids = [job.pk for job in jobs]
    if behind == BEGINNING:
        for job_id in job_ids:
            if ended is not None:
                _follow(expectations.facts(job_id), ended, expectations, now)
            elif change is not None and change.job_id == job_id:
                _renew(expectations.facts(job_id), expectations, now)
    by = _change(change) if change else ""
    return release_waiting(job_ids, expectations, behind=behind, now=now, ended=ended, by=by)


def _ended(events: Sequence[Event]) -> list[Task]:
    """Return the tasks of ends, in the order of these."""
    found = {task.pk: task for task in _tasks([e.task_id for e in events if e.task_id])}
    return [found[e.task_id] for e in events if e.task_id in found]


def _change(event: Event) -> str:
    """Return what the job's event was left for: an edit and its event have the same instant."""
    user = audit.author(Job, event.job_id, event.created_at)
    author = f" by {user}" if user else ""
    return f"a change of job {event.job_id}{author}"


def _renew(facts: Facts, expectations: Expectations, now: datetime) -> None:
    """Open what was named while a job that changed was paused, and begin its delays anew."""
    naming.name_since_pause(facts, expectations, now=now)
    if facts.delays:
        delays.restart(facts)


def _follow(facts: Facts, ended: list[Task], expectations: Expectations, now: datetime) -> None:
    """Open what ends of upstreams name, and begin a job's delays anew after its own."""
    if facts.is_named:
        theirs = (task for task in ended if task.job_id != facts.job.pk)
        naming.name_runs(facts, theirs, expectations, now=now)
    if facts.delays and any(task.job_id == facts.job.pk for task in ended):
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
