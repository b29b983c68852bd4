"""``parameters`` of what asks about tasks, and of what is done with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from rest_framework import serializers

from jobs.serializers import MomentField, RelationType
from sentinel_project.wire.fields import (
    CodeField,
    FlagField,
    IdField,
    InstantField,
    IntegerField,
    ListField,
    TextField,
)
from sentinel_project.wire.params import Params
from tasks_app.rules.states import TaskStatus

_MAX_NUMBER = 2**31 - 1


class SystemSwitch(IntEnum):
    """Whether anything opens and starts at all (D-60)."""

    RUNS = 1
    PAUSED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRef:
    task_id: int


class TaskRefParams(Params):
    """``parameters`` of what asks about one task."""

    builds = TaskRef

    taskId = IdField(source="task_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLook:
    """A task; of the attempt with this number also what it ran."""

    task_id: int
    attempt_number: int | None = None


class TaskLookParams(Params):
    """``parameters`` of /api/task/query."""

    builds = TaskLook

    taskId = IdField(source="task_id")
    attemptId = IntegerField(1, _MAX_NUMBER, source="attempt_number", required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRefs:
    task_ids: tuple[int, ...]


class TaskRefsParams(Params):
    """``parameters`` of what is done to several tasks."""

    builds = TaskRefs

    taskIds = ListField(child=IdField(), source="task_ids", allow_empty=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTasks:
    """One task or several."""

    task_id: int | None = None
    task_ids: tuple[int, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        return self.task_ids if self.task_id is None else (self.task_id,)


class RetryTasksParams(Params):
    """``parameters`` of /api/task/retry."""

    builds = RetryTasks
    also = {"oneOf": [{"required": ["taskIds"]}, {"required": ["taskId"]}]}
    example = {"taskIds": [42]}

    taskIds = ListField(
        child=IdField(), source="task_ids", allow_empty=False, required=False, allow_null=True
    )
    taskId = IdField(source="task_id", required=False)

    def to_internal_value(self, data: Any) -> Any:
        tasks: RetryTasks = super().to_internal_value(data)
        if (tasks.task_id is None) is not bool(tasks.task_ids):
            problem = "is needed alone: a list of ids, or else taskId, one id"
            raise serializers.ValidationError({"taskIds": problem})
        return tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunJobs:
    job_ids: tuple[int, ...]
    start: datetime
    end: datetime
    with_dependents: bool = False
    is_dry_run: bool = False


class RerunParams(Params):
    """``parameters`` of /api/task/rerun."""

    builds = RerunJobs

    jobIdList = ListField(child=IdField(), source="job_ids", allow_empty=False)
    startDate = MomentField(source="start")
    endDate = MomentField(source="end")
    withDependents = FlagField(source="with_dependents", required=False)
    dryRun = FlagField(source="is_dry_run", required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceStatus:
    task_id: int
    status: TaskStatus
    reason: str = ""


class ForceStatusParams(Params):
    """``parameters`` of /api/task/modify/status."""

    builds = ForceStatus

    taskId = IdField(source="task_id")
    status = CodeField(TaskStatus, among=[TaskStatus.SUCCESS, TaskStatus.FAILED])
    reason = TextField(high=1024, required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRelation:
    task_id: int
    relation: RelationType


class TaskRelationParams(Params):
    """``parameters`` of /api/task/queryRelation."""

    builds = TaskRelation

    taskId = IdField(source="task_id")
    relationType = CodeField(RelationType, source="relation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run by its task, or by job and due time if it may have none; ``at``: as it was then."""

    task_id: int | None = None
    job_id: int | None = None
    due_at: datetime | None = None
    at: datetime | None = None


class RunParams(Params):
    """``parameters`` of /api/task/explain."""

    builds = Run
    also = {"oneOf": [{"required": ["taskId"]}, {"required": ["jobId", "scheduleTime"]}]}
    example = {"taskId": 42}

    taskId = IdField(source="task_id", required=False)
    jobId = IdField(source="job_id", required=False)
    scheduleTime = MomentField(source="due_at", required=False)
    at = InstantField(required=False)

    def to_internal_value(self, data: Any) -> Any:
        run: Run = super().to_internal_value(data)
        pair = (run.job_id is not None, run.due_at is not None)
        if pair != ((False, False) if run.task_id is not None else (True, True)):
            problem = "is needed alone; or else both jobId and scheduleTime"
            raise serializers.ValidationError({"taskId": problem})
        return run


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSystem:
    status: SystemSwitch


class SetSystemParams(Params):
    """``parameters`` of /api/system/status/set."""

    builds = SetSystem

    status = CodeField(SystemSwitch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """What an endpoint without parameters is asked."""


class NoParams(Params):
    """``parameters`` of what takes none."""

    builds = Nothing
