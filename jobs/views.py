"""/api/job/…: submit a job, look at it and at its tasks."""

from __future__ import annotations

from jobs import selectors, serializers, services
from jobs.endpoint import Call, Endpoint, Mutation
from jobs.rules.spec import JobSpec
from jobs.serializers import JobRef, JobRefParams, JobTasks, JobTasksParams, SubmitJobParams
from sentinel_project.wire.fields import to_millis
from tasks_app import selectors as task_selectors
from tasks_app import serializers as task_serializers


class SubmitJobView(Mutation):
    """/api/job/submit: store a job, answer its jobId and when it runs next."""

    params = SubmitJobParams

    def handle(self, call: Call, params: JobSpec) -> object:
        job = services.submit_job(params, app=call.app, user=call.user, now=call.now)
        times = services.next_times(job, now=call.now)
        return {"jobId": job.pk, "nextTimes": [to_millis(at) for at in times]}


class JobView(Endpoint):
    """/api/job/query: the whole definition."""

    params = JobRefParams

    def handle(self, call: Call, params: JobRef) -> object:
        job = selectors.job_of(call.app, params.job_id)
        status = job.status_at(call.now)
        return serializers.definition(job, selectors.spec_of(job), status=status)


class JobTasksView(Endpoint):
    """/api/job/query/taskIds: a job's tasks, newest first."""

    params = JobTasksParams

    def handle(self, call: Call, params: JobTasks) -> object:
        job = selectors.job_of(call.app, params.job_id)
        page = task_selectors.task_page(
            job,
            status=params.status,
            kind=params.kind,
            due_from=params.due_from,
            due_until=params.due_until,
            limit=params.limit,
            cursor=params.cursor,
        )
        return task_serializers.page(job, page)


class JobStatusView(Endpoint):
    """/api/job/query/status: how the only task of a one-off job stands."""

    params = JobRefParams

    def handle(self, call: Call, params: JobRef) -> object:
        job = selectors.job_of(call.app, params.job_id)
        return task_serializers.status_of_job(job, task_selectors.only_task_of(job))
