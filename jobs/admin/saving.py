"""Saving the page of a job: one transaction of the API's own services (D-57, D-58, D-59)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.db import transaction

from jobs import services
from jobs.admin.change_sets import DependencySet, ExpressionSet
from jobs.admin.job_form import JobForm
from sentinel_project.admin_base import Acting
from sentinel_project.errors import InvalidParameters


def submit(form: JobForm, schedule: ExpressionSet, dependencies: DependencySet, who: Acting) -> int:
    assert form.spec is not None
    spec = replace(
        form.spec,
        app_name=form.cleaned_data["app"].name,
        schedule=schedule.edits(),
        dependencies=dependencies.edits(),
    )
    job = services.submit_job(spec, **who.words)
    if form.cleaned_data["is_shared"]:
        services.edit_job(job.pk, {"is_shared": True}, **who.words)
    return job.pk


def apply(form: JobForm, schedule: ExpressionSet, dependencies: DependencySet, who: Acting) -> None:
    """Edit the job, then apply both change sets in whichever order is allowed.

    The graph is checked after each, and what is right in the end may be wrong in between: a job
    that loses its last expression needs the dependency that names its runs first (D-36).
    """
    job_id = form.instance.pk
    services.edit_job(job_id, form.changes(), **who.words)
    slots, links = schedule.edits(), dependencies.edits()
    try:
        with transaction.atomic():
            _set(job_id, slots, who, services.set_schedule)
            _set(job_id, links, who, services.set_dependencies)
    except InvalidParameters:
        if not (slots and links):
            raise
        _set(job_id, links, who, services.set_dependencies)
        _set(job_id, slots, who, services.set_schedule)


def _set(job_id: int, edits: tuple[Any, ...], who: Acting, service: Callable[..., object]) -> None:
    if edits:
        service(job_id, edits, **who.words)
