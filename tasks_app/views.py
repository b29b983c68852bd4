"""/api/task/…: look at tasks, kill and retry them."""

from __future__ import annotations

from jobs.endpoint import Call, Endpoint, Mutation
from sentinel_project.wire.envelope import Reply
from tasks_app import selectors, serializers, services
from tasks_app.serializers import TaskRef, TaskRefParams, TaskRefs, TaskRefsParams


class TaskStatusView(Endpoint):
    """/api/task/query/status: how a task stands."""

    params = TaskRefParams

    def handle(self, call: Call, params: TaskRef) -> object:
        return serializers.status(selectors.task_of(call.app, params.task_id))


class TaskView(Endpoint):
    """/api/task/query: everything about a task."""

    params = TaskRefParams

    def handle(self, call: Call, params: TaskRef) -> object:
        task = selectors.task_of(call.app, params.task_id)
        return serializers.whole(task, selectors.attempts_of(task))


class KillView(Mutation):
    """/api/task/kill: stop tasks, each for itself."""

    params = TaskRefsParams

    def handle(self, call: Call, params: TaskRefs) -> Reply:
        ids = tuple(dict.fromkeys(params.task_ids))
        answers = services.kill_tasks(ids, app=call.app, user=call.user, now=call.now)
        return serializers.answers(answers)


class RetryView(Mutation):
    """/api/task/retry: try failed and killed tasks again, each for itself."""

    params = TaskRefsParams

    def handle(self, call: Call, params: TaskRefs) -> Reply:
        ids = tuple(dict.fromkeys(params.task_ids))
        answers = services.retry_tasks(ids, app=call.app, user=call.user, now=call.now)
        return serializers.answers(answers)
