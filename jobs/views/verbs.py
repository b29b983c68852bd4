"""/api/job/…: run a job now, skip a slot to come, fill slots that were left out (D-55)."""

from __future__ import annotations

from jobs import services
from jobs.endpoint import Call, Mutation
from jobs.serializers import (
    FillGaps,
    FillGapsParams,
    RunJob,
    RunJobParams,
    SkipSlot,
    SkipSlotParams,
)
from sentinel_project.wire.fields import to_millis
from tasks_app import services as task_services


class RunJobView(Mutation):
    """/api/job/run: one MANUAL task, due now, that waits for nothing."""

    params = RunJobParams

    def handle(self, call: Call, params: RunJob) -> object:
        task = task_services.run_now(
            params.job_id, app=call.app, user=call.user, now=call.now, extra=params.extra
        )
        return {"taskId": task.pk}


class SkipSlotView(Mutation):
    """/api/job/skip: have one slot to come open as REMOVED."""

    params = SkipSlotParams

    def handle(self, call: Call, params: SkipSlot) -> object:
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

    def handle(self, call: Call, params: FillGaps) -> object:
        task_ids = task_services.fill_gaps(
            params.job_id, params.start, params.end, app=call.app, user=call.user, now=call.now
        )
        return {"taskIds": task_ids}
