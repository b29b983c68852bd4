"""Saving the page of a job: one transaction of the API's own services (D-57, D-58, D-59)."""

from __future__ import annotations

from dataclasses import replace

from jobs import services
from jobs.admin.change_sets import DependencySet, ExpressionSet
from jobs.admin.job_form import JobForm
from sentinel_project.admin_base import Acting


def submit(form: JobForm, schedule: ExpressionSet, dependencies: DependencySet, who: Acting) -> int:
    assert form.spec is not None
    spec = replace(
        form.spec,
        app_name=form.cleaned_data["app"].name,
        schedule=schedule.edits(),
        dependencies=dependencies.edits(),
    )
    return services.submit_job(spec, **who.words).pk


def apply(form: JobForm, schedule: ExpressionSet, dependencies: DependencySet, who: Acting) -> None:
    services.edit_job(
        form.instance.pk,
        form.changes(),
        links=dependencies.edits(),
        schedule=schedule.edits(),
        revision=form.cleaned_data["revision"],
        **who.words,
    )
