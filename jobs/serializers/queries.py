"""``parameters`` of what asks about jobs: one, a list, their relations, tasks and plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from jobs.rules.enums import JobStatus
from jobs.selectors import JobFilter
from jobs.serializers.verbs import MomentField
from sentinel_project.wire.fields import (
    CodeField,
    IdField,
    InstantField,
    IntegerField,
    TextField,
    WordField,
)
from sentinel_project.wire.params import Params
from tasks_app.rules.states import TaskKind, TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """A due time of a job, whether it has a task or not; ``at``: as it was then."""

    job_id: int
    due_at: datetime
    at: datetime | None = None


class JobRunParams(Params):
    """``parameters`` of /api/job/explain."""

    builds = JobRun

    jobId = IdField(source="job_id")
    scheduleTime = MomentField(source="due_at")
    at = InstantField(required=False)


class RelationType(IntEnum):
    """Which way a dependency is followed."""

    UPSTREAM = 1
    DEPENDENTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRef:
    job_id: int


class JobRefParams(Params):
    """``parameters`` of what asks about one job."""

    builds = JobRef

    jobId = IdField(source="job_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTasks:
    """Which tasks of a job are asked for, and where the last page ended."""

    job_id: int
    status: TaskStatus | None = None
    due_from: datetime | None = None
    due_until: datetime | None = None
    kind: TaskKind | None = None
    limit: int = 100
    cursor: str = ""


class JobTasksParams(Params):
    """``parameters`` of /api/job/query/taskIds."""

    builds = JobTasks

    jobId = IdField(source="job_id")
    status = CodeField(TaskStatus, required=False)
    from_ = InstantField(source="due_from", required=False)
    to = InstantField(source="due_until", required=False)
    kind = WordField(TaskKind, required=False)
    limit = IntegerField(1, 1000, required=False)
    cursor = TextField(high=64, required=False, allow_null=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobList(JobFilter):
    """Which jobs are asked for, and where the last page ended."""

    limit: int = 100
    cursor: str = ""


class JobFilterParams(Params):
    """The filters of a list of jobs."""

    jobName = TextField(high=256, source="name", required=False)
    status = CodeField(JobStatus, required=False)
    jobType = TextField(high=32, source="job_type", required=False)
    appName = TextField(high=256, source="app_name", required=False)
    workerGroupId = IdField(source="worker_group_id", required=False)
    department = TextField(high=256, required=False)
    bizGroup = IdField(source="biz_group", required=False)


class JobListParams(JobFilterParams):
    """``parameters`` of /api/job/list."""

    builds = JobList

    limit = IntegerField(1, 1000, required=False)
    cursor = TextField(high=64, required=False, allow_null=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan(JobFilter):
    """Whose runs of [``start``, ``end``) are asked for."""

    start: datetime
    end: datetime


class JobPlanParams(JobFilterParams):
    """``parameters`` of /api/job/plan."""

    builds = JobPlan

    from_ = MomentField(source="start")
    to = MomentField(source="end")
    jobId = IdField(source="job_id", required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRelation:
    job_id: int
    relation: RelationType
    depth: int = 1


class JobRelationParams(Params):
    """``parameters`` of /api/job/queryRelation."""

    builds = JobRelation

    jobId = IdField(source="job_id")
    relationType = CodeField(RelationType, source="relation")
    depth = IntegerField(1, 10, required=False)
