"""The rehearsal itself: the real engine on a private database, with a virtual clock.

The clock jumps from event to event. At one instant attempts end first, then actions happen, then
openings, naming and release, expiry and starts, repeated until nothing changes (5-simulation.md).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from jobs.models import DEFAULT_GROUP_ID, App
from jobs.rules.enums import AppKind
from jobs.services import submit_job
from sentinel_project.errors import SentinelError
from tasks_app import claims, dispatcher, planner, transitions
from tasks_app.models import Attempt, Task, Worker
from tasks_app.rules.states import AttemptStatus, Finder, Reason, TaskStatus
from tasks_app.rules.timing import Lease
from tasks_app.simulation.document import Action, Definition, Document
from tasks_app.simulation.fields import BadDocument
from tasks_app.simulation.labels import Labels

USER = "simulation"
WORKER = "simulation"
UNLIMITED = 1_000_000


class World:
    """A document under way. ``refused`` and ``answers`` are what its actions brought."""

    def __init__(self, document: Document, perform: Callable[[Action, World], None]) -> None:
        self.document = document
        self._perform = perform
        self.now = document.start
        self.app = App.objects.create(
            name="simulation", kind=AppKind.ADMIN.value, sealed_key="", created_at=document.start
        )
        self._register_worker()
        self.labels = Labels(document.zone)
        self.definitions: dict[str, Definition] = {}
        self.refused: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.lease = Lease(settings.SENTINEL_LEASE, settings.SENTINEL_HEARTBEAT)
        self._ends: list[tuple[datetime, int, str]] = []
        self._live: dict[int, Attempt] = {}
        self._actions = list(reversed(document.actions))
        self._jobs = sorted(document.jobs, key=lambda job: job.created, reverse=True)

    def _register_worker(self) -> None:
        """Enter a worker that is never silent: an outage is told, not guessed from its beats."""
        worker = Worker.objects.create(
            name=WORKER,
            host=WORKER,
            pid=0,
            pool="virtual",
            slots=self.document.slots or UNLIMITED,
            started_at=self.document.start,
            beat_at=self.document.until,
        )
        worker.groups.add(DEFAULT_GROUP_ID)

    def run(self) -> None:
        """Live from the start up to the end of the document, which is excluded."""
        while self.now < self.document.until:
            self._live_one_instant()
            following = self._next_instant()
            if following is None or following >= self.document.until:
                return
            self.now = following

    def submit(self, definitions: Iterable[Definition]) -> None:
        """Submit jobs of one instant as one set: upstreams first, whatever their order."""
        left = sorted(definitions, key=lambda job: job.label)
        while left:
            names = {job.label for job in left}
            free = [job for job in left if not names & {link.upstream for link in job.links}]
            for job in free or left[:1]:
                self.submit_one(job)
                left.remove(job)

    def submit_one(self, job: Definition) -> None:
        spec = job.spec_with(self.labels.ids)
        with transaction.atomic():
            stored = submit_job(spec, app=self.app, user=USER, now=self.now)
        self.labels.add(job.label, stored.pk)
        self.definitions[job.label] = job

    def begin_outage(self, until: datetime) -> None:
        """Lose what runs, and let nothing happen until it is over.

        One that began inside another is over already.
        """
        if until <= self.now:
            return
        running = Attempt.objects.filter(status=AttemptStatus.RUNNING.value).order_by("pk")
        found_lost_at = until + self.lease.length
        self._ends = [(found_lost_at, pk, "lost") for pk in running.values_list("pk", flat=True)]
        self._actions = [
            Action(until, a.do, a.values) if a.at < until else a for a in self._actions
        ]
        self._jobs.sort(key=lambda job: max(job.created, until), reverse=True)
        self.now = until

    def end_killed(self, task: Task) -> None:
        """A kill takes no virtual time, where there is a worker left to do it."""
        attempt = Attempt.objects.filter(task=task).order_by("-number").first()
        if attempt is None or any(a == attempt.pk and how == "lost" for _, a, how in self._ends):
            return
        ending = transitions.Ending(status=AttemptStatus.KILLED, reason="KILL")
        transitions.settle(attempt, ending, now=self.now)

    # -- one instant ---------------------------------------------------------------------------

    def _live_one_instant(self) -> None:
        self._end_attempts()
        while self.now < self.document.until and (self._submit_due() or self._act()):
            pass
        if self.now >= self.document.until:
            return
        is_settled = False
        while not is_settled:
            planner.open_due(now=self.now)
            planner.note_ended_windows(now=self.now)
            planner.process_events(by=Finder.TRIGGER, now=self.now)
            if planner.expire_due(now=self.now):
                continue
            self._start_attempts()
            is_settled = not self._end_attempts()

    def _act(self) -> bool:
        """Perform the next action, if its instant has come."""
        if not self._actions or self._actions[-1].at > self.now:
            return False
        self._perform(self._actions.pop(), self)
        return True

    def _submit_due(self) -> bool:
        due = []
        while self._jobs and self._jobs[-1].created <= self.now:
            due.append(self._jobs.pop())
        try:
            self.submit(due)
        except SentinelError as refusal:
            label = next(job for job in due if job.label not in self.labels.ids)
            raise BadDocument(f"{label.place}: {refusal}") from refusal
        return bool(due)

    def _end_attempts(self) -> bool:
        ended = False
        while self._ends and self._ends[0][0] <= self.now:
            _, attempt_id, how = heapq.heappop(self._ends)
            self._end(self._live.pop(attempt_id), how)
            ended = True
        return ended

    def _end(self, attempt: Attempt, how: str) -> None:
        if how == "lost":
            lost = transitions.Ending(status=AttemptStatus.LOST, reason=Reason.LOST)
            transitions.rescue(attempt, lost, now=self.now)
        elif how == "success":
            done = transitions.Ending(status=AttemptStatus.SUCCESS, exit_code=0)
            transitions.settle(attempt, done, now=self.now)
        else:
            failed = transitions.Ending(
                status=AttemptStatus.FAILED, exit_code=1, reason=Reason.EXIT_CODE
            )
            transitions.settle(attempt, failed, now=self.now)

    def _start_attempts(self) -> bool:
        """Start what is ready, in the database's order, while slots are free."""
        started = False
        for task_id in dispatcher.ready_now(self.now):
            if self._is_full():
                break
            attempt = claims.claim(
                task_id, worker=WORKER, lease=self.lease, now=self.now, starts=True
            )
            if attempt is not None:
                self._live[attempt.pk] = attempt
                self._schedule_end(attempt)
                started = True
        return started

    def _is_full(self) -> bool:
        if self.document.slots is None:
            return False
        running = Task.objects.filter(status=TaskStatus.RUNNING.value).count()
        return running >= self.document.slots

    def _schedule_end(self, attempt: Attempt) -> None:
        label = self.labels.of_job(attempt.task.job_id)
        how = self._outcome(self.labels.of_task(attempt.task), label, attempt.number)
        if how == "hang":
            return
        takes = self.definitions[label].duration
        at = self.now + (self.lease.length + self.lease.grace if how == "lost" else takes)
        heapq.heappush(self._ends, (at, attempt.pk, how))

    def _outcome(self, task: str, job: str, attempt_number: int) -> str:
        outcomes = self.document.outcomes
        words = outcomes.get(task) or outcomes.get(job) or ("success",)
        return words[min(attempt_number, len(words)) - 1]

    def _next_instant(self) -> datetime | None:
        instants = [
            planner.next_due(now=self.now),
            planner.next_end(now=self.now),
            planner.next_expiry(now=self.now),
            dispatcher.next_ready(now=self.now),
            self._ends[0][0] if self._ends else None,
            self._actions[-1].at if self._actions else None,
            self._jobs[-1].created if self._jobs else None,
        ]
        return min((at for at in instants if at is not None and at > self.now), default=None)
