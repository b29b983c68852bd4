"""Edits of dependencies: one change set, validated and applied as a whole (D-58)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from jobs import audit
from jobs.models import App, DependencyEntry, Job
from jobs.rules.enums import Edit
from jobs.rules.spec import DependencyEdit
from jobs.services import checks
from jobs.services.edits import lock_graph, locked_job, touch


@transaction.atomic
def set_dependencies(
    job_id: int, edits: Sequence[DependencyEdit], *, app: App, user: str, now: datetime
) -> Job:
    """Apply a change set to a job's dependencies; a refusal changes nothing."""
    lock_graph()
    job = locked_job(job_id, app)
    present = {entry.upstream_id: entry for entry in job.dependencies.all()}
    checks.refuse([*_mode_problems(job, edits, present), *_value_problems(edits, app)])
    before = _shown(job)
    for edit in edits:
        _apply(job, edit)
    touch(job, now=now)
    checks.check_graph(job, now=now)
    audit.record(
        "job.dependencies", job, app=app, user=user, before=before, after=_shown(job), now=now
    )
    return job


def _shown(job: Job) -> dict[str, Any]:
    rows = DependencyEntry.objects.filter(job=job).order_by("upstream_id")
    return {"dependencies": list(rows.values("upstream_id", "common_strategy", "offset"))}


def _mode_problems(
    job: Job, edits: Sequence[DependencyEdit], present: dict[int, DependencyEntry]
) -> list[str]:
    problems = []
    for edit in edits:
        if edit.upstream_id == job.pk:
            problems.append("dependencyList.preJobId: a job cannot wait for itself; use isSerial")
        elif edit.mode is Edit.ADD and edit.upstream_id in present:
            problems.append(
                f"dependencyList.preJobId: {edit.upstream_id} is an upstream already; EDIT (2) it"
            )
        elif edit.mode is not Edit.ADD and edit.upstream_id not in present:
            problems.append(
                f"dependencyList.preJobId: {edit.upstream_id} is no upstream of the job; ADD (1) it"
            )
    return problems


def _value_problems(edits: Sequence[DependencyEdit], app: App) -> list[str]:
    kept = [edit for edit in edits if edit.mode is not Edit.DELETE]
    return list(checks.dependency_problems(kept, app=app))


def _apply(job: Job, edit: DependencyEdit) -> None:
    rows = DependencyEntry.objects.filter(job=job, upstream_id=edit.upstream_id)
    match edit.mode:
        case Edit.ADD:
            DependencyEntry.objects.create(
                job=job,
                upstream_id=edit.upstream_id,
                common_strategy=edit.strategy,
                offset=edit.offset,
            )
        case Edit.EDIT:
            rows.update(common_strategy=edit.strategy, offset=edit.offset)
        case Edit.DELETE:
            rows.delete()
