"""/api/task/… and /api/system/…: look at tasks, act on them, and pause the whole system."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.endpoint import Call, Endpoint, Mutation
from jobs.models import App, Job
from jobs.selectors import job_of
from jobs.serializers import RelationType
from sentinel_project.wire.envelope import Reply
from tasks_app import explain, relations, selectors, serializers, services
from tasks_app.models import Task
from tasks_app.serializers import (
    ForceStatus,
    ForceStatusParams,
    NoParams,
    Nothing,
    RerunJobs,
    RerunParams,
    RetryTasks,
    RetryTasksParams,
    Run,
    RunParams,
    SetSystem,
    SetSystemParams,
    SystemSwitch,
    TaskLook,
    TaskLookParams,
    TaskRef,
    TaskRefParams,
    TaskRefs,
    TaskRefsParams,
    TaskRelation,
    TaskRelationParams,
    data,
)
from tasks_app.timeline import timeline


class TaskStatusView(Endpoint):
    """/api/task/query/status: how a task stands."""

    params = TaskRefParams

    def handle(self, call: Call, params: TaskRef) -> data.TaskStatusData:
        return serializers.status(selectors.bare_task_of(call.app, params.task_id))


class TaskView(Endpoint):
    """/api/task/query: everything about a task."""

    params = TaskLookParams

    def handle(self, call: Call, params: TaskLook) -> data.WholeTask:
        task = selectors.task_of(call.app, params.task_id)
        number = params.attempt_number
        looked_at = None if number is None else selectors.whole_attempt_of(task, number)
        return serializers.whole(task, selectors.attempts_of(task), looked_at)


class TaskRelationView(Endpoint):
    """/api/task/queryRelation: which tasks it waits for, or which wait for it."""

    params = TaskRelationParams

    def handle(self, call: Call, params: TaskRelation) -> data.RelatedTasks:
        task = selectors.task_of(call.app, params.task_id)
        is_up = params.relation is RelationType.UPSTREAM
        follow = relations.upstream_tasks if is_up else relations.dependent_tasks
        return serializers.related(follow(task, app=call.app))


class ExplainView(Endpoint):
    """/api/task/explain: what a run has passed, what blocks it, what would help (D-70)."""

    params = RunParams

    def handle(self, call: Call, params: Run) -> data.Explanation:
        job, due_at, task = _run_of(call.app, params)
        by_id = task if params.task_id is not None else None
        explain.refuse_instant(params.at, job, by_id, now=call.now)
        gates = explain.explain(job, due_at, task, now=call.now, at=params.at)
        return serializers.explained(job, due_at, task, gates, at=params.at)


class TimelineView(Endpoint):
    """/api/task/timeline: what happened to a task, in order (D-74)."""

    params = TaskRefParams

    def handle(self, call: Call, params: TaskRef) -> data.Timeline:
        task = selectors.task_of(call.app, params.task_id)
        return serializers.timeline(task, timeline(task))


class KillView(Mutation):
    """/api/task/kill: stop tasks, each for itself."""

    params = TaskRefsParams

    def handle(self, call: Call, params: TaskRefs) -> Reply[data.TaskResults]:
        ids = tuple(dict.fromkeys(params.task_ids))
        answers = services.kill_tasks(ids, app=call.app, user=call.user, now=call.now)
        return serializers.answers(answers)


class RetryView(Mutation):
    """/api/task/retry: try failed and killed tasks again, each for itself."""

    params = RetryTasksParams

    def handle(self, call: Call, params: RetryTasks) -> Reply[data.TaskResults]:
        ids = tuple(dict.fromkeys(params.ids))
        answers = services.retry_tasks(ids, app=call.app, user=call.user, now=call.now)
        return serializers.answers(answers)


class RemoveView(Mutation):
    """/api/task/remove: take tasks out, each for itself; they count as done (D-54)."""

    params = TaskRefsParams

    def handle(self, call: Call, params: TaskRefs) -> Reply[data.TaskResults]:
        ids = tuple(dict.fromkeys(params.task_ids))
        answers = services.remove_tasks(ids, app=call.app, user=call.user, now=call.now)
        return serializers.answers(answers)


class RerunView(Mutation):
    """/api/task/rerun: due times once more, as a batch, or how that would look (D-51)."""

    params = RerunParams

    def handle(self, call: Call, params: RerunJobs) -> data.BatchData | data.RerunPlan:
        ids = tuple(dict.fromkeys(params.job_ids))
        span = (params.start, params.end)
        words: dict[str, Any] = {
            "app": call.app,
            "now": call.now,
            "with_dependents": params.with_dependents,
        }
        if params.is_dry_run:
            return serializers.rerun_plan(services.plan_rerun(ids, *span, **words))
        return serializers.batch(services.rerun(ids, *span, user=call.user, **words))


class ForceStatusView(Mutation):
    """/api/task/modify/status: set a task to SUCCESS or FAILED by hand (D-52)."""

    for_admins = True
    params = ForceStatusParams

    def handle(self, call: Call, params: ForceStatus) -> data.TaskStatusData:
        services.force_status(
            params.task_id,
            params.status,
            app=call.app,
            user=call.user,
            reason=params.reason,
            now=call.now,
        )
        return serializers.status(selectors.task_of(call.app, params.task_id))


class SystemStatusView(Endpoint):
    """/api/system/status/get: whether the whole system is paused."""

    for_admins = True
    params = NoParams

    def handle(self, call: Call, params: Nothing) -> data.SystemStatus:
        return serializers.system(selectors.system_state())


class SetSystemStatusView(Mutation):
    """/api/system/status/set: pause everything, or resume it (D-60)."""

    for_admins = True
    params = SetSystemParams

    def handle(self, call: Call, params: SetSystem) -> data.SystemStatus:
        is_paused = params.status is SystemSwitch.PAUSED
        services.set_system_paused(is_paused, app=call.app, user=call.user, now=call.now)
        return serializers.system(selectors.system_state())


def _run_of(app: App, asked: Run) -> tuple[Job, datetime, Task | None]:
    """Return a run by its task, or by job and due time; None: it has no task (yet)."""
    if asked.task_id is not None:
        found = selectors.task_of(app, asked.task_id)
        return found.job, found.due_at, found
    assert asked.job_id is not None
    assert asked.due_at is not None
    job = job_of(app, asked.job_id)
    return job, asked.due_at, selectors.owed_task_of(job, asked.due_at)
