"""The dependencies of an edit: a change set, judged and applied as a whole (D-58)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from jobs.models import App, DependencyEntry, Job
from jobs.rules.enums import Edit
from jobs.rules.spec import DependencyEdit
from jobs.services import checks


def problems_of(job: Job, edits: Sequence[DependencyEdit], app: App) -> Iterator[str]:
    """Yield what is wrong with a change set by itself, one sentence a problem."""
    present = {entry.upstream_id for entry in job.dependencies.all()}
    kept = [edit for edit in edits if edit.mode is not Edit.DELETE]
    yield from _mode_problems(job, edits, present)
    yield from _twice(edits, kept)
    yield from checks.dependency_problems(kept, app=app)


def _twice(edits: Sequence[DependencyEdit], kept: Sequence[DependencyEdit]) -> Iterator[str]:
    """Yield upstreams that are dropped and named otherwise as well."""
    dropped = [edit.upstream_id for edit in edits if edit.mode is Edit.DELETE]
    both = {edit.upstream_id for edit in kept} & set(dropped)
    for upstream_id in sorted(both | {each for each in dropped if dropped.count(each) > 1}):
        yield f"dependencyList.preJobId: {upstream_id} is named twice"


def shown(job: Job) -> dict[str, Any]:
    """Return the dependencies as the audit log has them."""
    rows = DependencyEntry.objects.filter(job=job).order_by("upstream_id")
    return {"dependencies": list(rows.values("upstream_id", "common_strategy", "offset"))}


def _mode_problems(job: Job, edits: Sequence[DependencyEdit], present: set[int]) -> list[str]:
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


def apply(job: Job, edits: Sequence[DependencyEdit]) -> None:
    """Write a change set that was judged."""
    for edit in edits:
        _apply(job, edit)


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
