"""/api/job/…: submit a job, edit it, and see beforehand what it would do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from jobs import preview, selectors, serializers, services
from jobs.endpoint import Call, Endpoint, Mutation
from jobs.models import Job
from jobs.rules.enums import JobStatus
from jobs.rules.spec import JobSpec
from jobs.serializers import (
    EditJobParams,
    EditPreview,
    JobAnswer,
    JobEdit,
    PreviewJobParams,
    SetDependenciesParams,
    SetScheduleParams,
    SetStatus,
    SetStatusParams,
    SpecPreview,
    SubmitJobParams,
    data,
)
from jobs.services import JobChange
from sentinel_project.errors import NotFound, Refused
from sentinel_project.wire.envelope import Reply
from sentinel_project.wire.fields import to_millis


class SubmitJobView(Mutation):
    """/api/job/submit: store a job, answer its jobId and when it runs next."""

    params = SubmitJobParams

    def handle(self, call: Call, params: JobSpec) -> data.SubmittedJob:
        job = services.submit_job(params, app=call.app, user=call.user, now=call.now)
        times = services.next_times(job, now=call.now)
        return {"jobId": job.pk, "nextTimes": [to_millis(at) for at in times]}


class EditJobView(Mutation):
    """/api/job/edit: change what is given, leave the rest; all of it or nothing."""

    params = EditJobParams

    def handle(self, call: Call, params: JobEdit) -> data.EditedJob:
        change = _edit(call, params)
        return {"jobId": params.job_id, **serializers.cycle(change)}


class SetDependenciesView(Mutation):
    """/api/job/dependency/set: one change set of upstreams (D-58)."""

    params = SetDependenciesParams

    def handle(self, call: Call, params: JobEdit) -> data.JobIdOnly:
        services.set_dependencies(
            params.job_id, params.dependencies, app=call.app, user=call.user, now=call.now
        )
        return {"jobId": params.job_id}


class SetScheduleView(Mutation):
    """/api/job/scheduleExp/set: one change set of expressions, and what it did (D-57)."""

    params = SetScheduleParams

    def handle(self, call: Call, params: JobEdit) -> data.EditedSchedule:
        change = services.set_schedule(
            params.job_id, params.schedule, app=call.app, user=call.user, now=call.now
        )
        rows = change.job.expressions.order_by("pk")
        times = services.next_times(change.job, now=call.now)
        return serializers.schedule_change(change, rows, times)


class SetJobStatusView(Mutation):
    """/api/job/status/set: enable, disable, pause or trash jobs, each for itself (D-56)."""

    params = SetStatusParams

    def handle(self, call: Call, params: SetStatus) -> Reply[data.JobResults]:
        return serializers.status_answers(_set_each(call, params))


class PreviewJobView(Endpoint):
    """/api/job/preview: what a submission or an edit would do; nothing is kept (D-71)."""

    http_method_names = ["post"]
    params = PreviewJobParams

    def handle(self, call: Call, params: SpecPreview | EditPreview) -> data.Preview:
        def make() -> Job:
            if isinstance(params, EditPreview):
                return _edit(call, params.edit).job
            return services.submit_job(params, app=call.app, user=call.user, now=call.now)

        seen = preview.preview(make, count=params.count, now=call.now)
        return serializers.outlook(seen)


def _edit(call: Call, edit: JobEdit) -> JobChange:
    return services.edit_job(
        edit.job_id,
        edit.changes,
        links=edit.dependencies,
        schedule=edit.schedule,
        app=call.app,
        user=call.user,
        now=call.now,
    )


def _set_each(call: Call, wanted: SetStatus) -> Iterator[JobAnswer]:
    """Set each job for itself; warn of what becomes of the enabled ones once all are set.

    Locks in one order whatever the caller's: two such calls must not wait for each other.
    """
    ids = dict.fromkeys(wanted.job_ids)
    disabled = selectors.jobs_of(call.app).filter(pk__in=ids, status=JobStatus.DISABLED)
    enabled = set(
        disabled.values_list("pk", flat=True) if wanted.status is JobStatus.ACTIVE else ()
    )
    answers = {job_id: _set_one(call, job_id, wanted.status) for job_id in sorted(ids)}
    enabled -= {job_id for job_id, answer in answers.items() if answer.refusal}
    warnings = preview.enabling_warnings(enabled, app=call.app, now=call.now)
    for job_id in ids:
        yield replace(answers[job_id], warnings=warnings.get(job_id, []))


def _set_one(call: Call, job_id: int, status: JobStatus) -> JobAnswer:
    try:
        job = services.set_status(job_id, status, app=call.app, user=call.user, now=call.now)
    except NotFound as refusal:
        return JobAnswer(job_id, str(refusal))
    except Refused as refusal:
        job = selectors.job_of(call.app, job_id)
        return JobAnswer(job_id, str(refusal), job.status_at(call.now))
    return JobAnswer(job_id, status=job.status_at(call.now))
