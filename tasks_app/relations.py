"""Which tasks a task waits for, and which wait for it, by the windows of today (D-34, D-51)."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

from django.db.models import QuerySet

from jobs.expected import Expectations, half_open
from jobs.facts import Facts, Upstream
from jobs.models import App, DependencyEntry, Job
from jobs.rules.offsets import shift, truncate, window
from jobs.rules.windows import Window
from jobs.selectors import jobs_of
from tasks_app.models import Task
from tasks_app.rules.states import TaskKind

#: Tasks listed of one job.
MAX_TASKS = 1_000
_OWED = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]


def upstream_tasks(task: Task, *, app: App) -> dict[int, list[int]]:
    """Return, by job, the tasks in the windows of ``task``; jobs of other apps are left out."""
    expectations = Expectations()
    facts = expectations.facts(task.job_id)
    found: dict[int, list[int]] = {}
    for upstream in _visible(app, expectations.counting(facts)):
        rows = _mates(task).filter(job_id=upstream.job_id)
        is_one_off = expectations.facts(upstream.job_id).job.is_one_off
        if not is_one_off:
            rows = _due_in(rows, window(upstream.offset, task.due_at, facts.job.zone))
        found[upstream.job_id] = list(rows.values_list("pk", flat=True)[:MAX_TASKS])
    return found


def dependent_tasks(task: Task, *, app: App) -> dict[int, list[int]]:
    """Return, by job, the tasks whose windows hold ``task``."""
    entries = DependencyEntry.objects.filter(upstream_id=task.job_id, job__in=jobs_of(app))
    expectations = Expectations()
    job_ids = sorted(entries.values_list("job_id", flat=True))
    expectations.load(job_ids)
    source = expectations.facts(task.job_id)
    return {
        job_id: _waiting_for(task, source, expectations.facts(job_id))
        for job_id in job_ids
        if source.counts
    }


def _visible(app: App, upstreams: list[Upstream]) -> list[Upstream]:
    seen = set(
        jobs_of(app).filter(pk__in=[up.job_id for up in upstreams]).values_list("pk", flat=True)
    )
    return [upstream for upstream in upstreams if upstream.job_id in seen]


def _mates(task: Task) -> QuerySet[Task]:
    """Return the tasks that can wait for each other with ``task``: its batch, or the ledger."""
    rows = Task.objects.filter(kind__in=_OWED)
    if task.batch_id is not None:
        rows = Task.objects.filter(batch_id=task.batch_id)
    elif task.kind == TaskKind.MANUAL:
        rows = Task.objects.none()
    return rows.order_by("due_at", "pk")


def _due_in(rows: QuerySet[Task], span: Window) -> QuerySet[Task]:
    span = half_open(span)
    return rows.filter(due_at__gte=span.start, due_at__lt=span.end)


def _waiting_for(task: Task, source: Facts, facts: Facts) -> list[int]:
    upstream = next(up for up in facts.upstreams if up.job_id == task.job_id)
    rows = _mates(task).filter(job_id=facts.job.pk)
    if source.job.is_one_off:
        return list(rows.values_list("pk", flat=True)[:MAX_TASKS])
    near = _due_in(rows, _dues_looking_at(upstream, task.due_at, facts.job)).iterator()
    zone = facts.job.zone
    holding = (t.pk for t in near if window(upstream.offset, t.due_at, zone).contains(task.due_at))
    return list(islice(holding, MAX_TASKS))


def _dues_looking_at(upstream: Upstream, due_at: datetime, job: Job) -> Window:
    """Return a span that holds every due time whose window can hold ``due_at``."""
    unit = upstream.offset.unit
    if unit is None:
        return Window(due_at, due_at)
    start = truncate(unit, due_at, job.zone)
    first = shift(unit, start, -upstream.offset.last, job.zone)
    last = shift(unit, start, 2 - upstream.offset.first, job.zone)
    return Window(first, last + timedelta(microseconds=1))
