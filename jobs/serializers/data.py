"""What ``data`` of the answers about jobs holds (2-wire.md 3). Wire names end here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict

from jobs.rules.enums import CommonStrategy, ContentType, ExpressionKind, JobStatus, MisfirePolicy
from sentinel_project.wire.schemas import Id, Millis, Seconds
from tasks_app.rules.states import TaskStatus

JobStanding = Annotated[int, JobStatus]
TaskStanding = Annotated[int, TaskStatus]
Strategy = Annotated[int, CommonStrategy]
ExpressionType = Annotated[int, ExpressionKind]
Moment = Annotated[int, "epoch milliseconds; 0: none"]


class JobIdOnly(TypedDict):
    jobId: Id


class SubmittedJob(TypedDict):
    jobId: Id
    nextTimes: list[Millis]


class EditedJob(TypedDict):
    jobId: Id
    skippedTime: Millis | None
    removedTaskId: Id | None


class Cycle(TypedDict):
    skippedTime: Millis | None
    removedTaskId: Id | None


class Expression(TypedDict):
    expressionId: Id
    expressionType: ExpressionType
    expression: str
    nextTime: Millis | None


class EditedSchedule(TypedDict):
    jobId: Id
    expressions: list[Expression]
    nextTimes: list[Millis]
    skippedTime: Millis | None
    removedTaskId: Id | None


class JobResult(TypedDict):
    jobId: Id
    code: Annotated[int, "0 done, 1 refused"]
    msg: str
    status: JobStanding | None
    warnings: list[str]


class JobResults(TypedDict):
    results: list[JobResult]


class DefinedDependency(TypedDict):
    operatorMode: Annotated[int, "1 ADD"]
    preJobId: Id
    commonStrategy: Strategy
    offsetStrategy: str


class DefinedExpression(TypedDict):
    operatorMode: Annotated[int, "1 ADD"]
    expressionId: Id
    expressionType: ExpressionType
    expression: str


class Definition(TypedDict):
    jobId: Id
    jobName: str
    jobType: str
    content: str
    status: JobStanding
    contentType: Annotated[int, ContentType]
    params: Mapping[str, object]
    appName: str
    workerGroupId: Id
    department: str
    bizGroups: str
    priority: int
    isTemp: bool
    activeStartDate: Moment
    activeEndDate: Moment
    expiredTime: Seconds
    failedAttempts: int
    failedInterval: Seconds
    dependencyList: list[DefinedDependency]
    scheduleExpressionList: list[DefinedExpression]
    isSerial: bool
    isShared: bool
    misfirePolicy: Annotated[str, MisfirePolicy]
    timeZone: str
    timeout: Seconds
    callbackUrl: str


class JobBrief(TypedDict):
    jobId: Id
    jobName: str
    jobType: str
    appName: str
    status: JobStanding
    workerGroupId: Id
    department: str
    bizGroups: str
    priority: int
    isTemp: bool
    isSerial: bool
    timeZone: str
    nextTime: Millis | None


class JobPageData(TypedDict):
    jobs: list[JobBrief]
    cursor: str | None


class RelatedJob(TypedDict):
    jobId: Id
    status: JobStanding | None
    depth: int
    commonStrategy: Strategy
    offsetStrategy: str


class RelatedJobs(TypedDict):
    list: Sequence[RelatedJob]


class PlannedRunData(TypedDict):
    jobId: Id
    jobName: str
    scheduleTime: Millis
    taskId: Id | None
    status: TaskStanding | None
    reason: str | None


class Plan(TypedDict):
    runs: list[PlannedRunData]


class SaidExpression(TypedDict):
    expression: str
    sentence: str


class BoundRun(TypedDict):
    scheduleTime: Millis
    status: TaskStanding | None


BoundUpstream = TypedDict(
    "BoundUpstream",
    {
        "preJobId": Id,
        "commonStrategy": Strategy,
        "offsetStrategy": str,
        "from": Millis,
        "to": Millis,
        "runs": list[BoundRun],
        "isCut": bool,
    },
)


class ComingRunData(TypedDict):
    scheduleTime: Millis
    local: str
    utc: str
    note: str | None
    upstreams: list[BoundUpstream]


class Preview(TypedDict):
    timeZone: str
    expressions: list[SaidExpression]
    nextTimes: list[Millis]
    runs: list[ComingRunData]
    content: Annotated[str, "placeholders filled in for the first run; null: it would fail"] | None
    params: Annotated[dict[str, Any], "likewise"] | None
    warnings: list[str]


class SkippedSlot(TypedDict):
    jobId: Id
    scheduleTime: Millis


class StartedTask(TypedDict):
    taskId: Id


class FilledTasks(TypedDict):
    taskIds: list[Id]
