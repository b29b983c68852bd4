"""/api/job/…: look at jobs, at their relations, their tasks and their plan."""

from __future__ import annotations

from jobs import outlook, selectors, serializers
from jobs.endpoint import Call, Endpoint
from jobs.serializers import (
    JobList,
    JobListParams,
    JobPlan,
    JobPlanParams,
    JobRef,
    JobRefParams,
    JobRelation,
    JobRelationParams,
    JobRun,
    JobRunParams,
    JobTasks,
    JobTasksParams,
    RelationType,
    data,
)
from tasks_app import explain
from tasks_app import selectors as task_selectors
from tasks_app import serializers as task_serializers
from tasks_app.serializers import data as task_data


class JobView(Endpoint):
    """/api/job/query: the whole definition."""

    params = JobRefParams

    def handle(self, call: Call, params: JobRef) -> data.Definition:
        job = selectors.job_of(call.app, params.job_id)
        status = job.status_at(call.now)
        return serializers.definition(job, selectors.spec_of(job), status=status)


class JobListView(Endpoint):
    """/api/job/list: the jobs that meet all filters, newest first."""

    params = JobListParams

    def handle(self, call: Call, params: JobList) -> data.JobPageData:
        page = selectors.job_page(
            call.app, params, limit=params.limit, cursor=params.cursor, now=call.now
        )
        return serializers.listed(page, now=call.now)


class JobRelationView(Endpoint):
    """/api/job/queryRelation: what a job waits for, or what waits for it."""

    params = JobRelationParams

    def handle(self, call: Call, params: JobRelation) -> data.RelatedJobs:
        job = selectors.job_of(call.app, params.job_id)
        is_up = params.relation is RelationType.UPSTREAM
        follow = selectors.upstreams_of if is_up else selectors.dependents_of
        return serializers.related(follow(call.app, job, depth=params.depth), now=call.now)


class JobExplainView(Endpoint):
    """/api/job/explain: why a due time of a job has run, waits, or has no task (D-70)."""

    params = JobRunParams

    def handle(self, call: Call, params: JobRun) -> task_data.Explanation:
        job = selectors.job_of(call.app, params.job_id)
        explain.refuse_instant(params.at, job, None, now=call.now)
        task = task_selectors.owed_task_of(job, params.due_at)
        gates = explain.explain(job, params.due_at, task, now=call.now, at=params.at)
        return task_serializers.explained(job, params.due_at, task, gates, at=params.at)


class JobTasksView(Endpoint):
    """/api/job/query/taskIds: a job's tasks, newest first."""

    params = JobTasksParams

    def handle(self, call: Call, params: JobTasks) -> task_data.TaskPage:
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

    def handle(self, call: Call, params: JobRef) -> task_data.OneOffStatus:
        job = selectors.job_of(call.app, params.job_id)
        return task_serializers.status_of_job(job, task_selectors.only_task_of(job))


class JobPlanView(Endpoint):
    """/api/job/plan: the runs that are owed in a range, and their tasks so far."""

    params = JobPlanParams

    def handle(self, call: Call, params: JobPlan) -> data.Plan:
        if params.job_id is not None:
            selectors.job_of(call.app, params.job_id)
        jobs = selectors.jobs_like(call.app, params, now=call.now)[: outlook.MAX_JOBS + 1]
        return serializers.plan(outlook.plan(list(jobs), params.start, params.end))
