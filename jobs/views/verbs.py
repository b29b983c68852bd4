"""/api/job/…: run a job now, skip a slot to come, fill slots that were left out, grant it."""

from __future__ import annotations

from jobs import selectors, services
from jobs.endpoint import Call, Endpoint, Mutation
from jobs.serializers import (
    FillGaps,
    FillGapsParams,
    JobRef,
    JobRefParams,
    RunJob,
    RunJobParams,
    SkipSlot,
    SkipSlotParams,
    data,
)
from jobs.serializers.administration import JobGrants, SetGrantsParams
from jobs.serializers.places import JobGrantsData, grants
from sentinel_project.wire.fields import to_millis
from tasks_app import services as task_services


class RunJobView(Mutation):
    """/api/job/run: one MANUAL task, due now, that waits for nothing."""

    params = RunJobParams

    def handle(self, call: Call, params: RunJob) -> data.StartedTask:
        task = task_services.run_now(
            params.job_id, app=call.app, user=call.user, now=call.now, extra=params.extra
        )
        return {"taskId": task.pk}


class SkipSlotView(Mutation):
    """/api/job/skip: have one slot to come open as REMOVED."""

    params = SkipSlotParams

    def handle(self, call: Call, params: SkipSlot) -> data.SkippedSlot:
        services.skip_slot(
            params.job_id,
            params.due_at,
            app=call.app,
            user=call.user,
            reason=params.reason,
            now=call.now,
        )
        return {"jobId": params.job_id, "scheduleTime": to_millis(params.due_at)}


class FillGapsView(Mutation):
    """/api/job/fill: open the slots of gaps after all."""

    params = FillGapsParams

    def handle(self, call: Call, params: FillGaps) -> data.FilledTasks:
        task_ids = task_services.fill_gaps(
            params.job_id, params.start, params.end, app=call.app, user=call.user, now=call.now
        )
        return {"taskIds": task_ids}


class SetGrantsView(Mutation):
    """/api/job/grant/set: which apps' jobs may wait for this one (D-80)."""

    params = SetGrantsParams

    def handle(self, call: Call, params: JobGrants) -> JobGrantsData:
        job = services.set_grants(
            params.job_id, params.app_names, app=call.app, user=call.user, now=call.now
        )
        return grants(job, job.grants.order_by("app_name"))


class GrantListView(Endpoint):
    """/api/job/grant/list: which apps' jobs may wait for this one."""

    params = JobRefParams

    def handle(self, call: Call, params: JobRef) -> JobGrantsData:
        job = selectors.job_of(call.app, params.job_id)
        return grants(job, job.grants.order_by("app_name"))
