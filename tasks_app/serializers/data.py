"""What ``data`` of the answers about tasks holds (2-wire.md 4). Wire names end here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired, TypedDict

from jobs.serializers.data import TaskStanding
from sentinel_project.wire.schemas import Id, Millis
from tasks_app.gates import GateState
from tasks_app.rules.states import AttemptStatus, Reason, TaskKind
from tasks_app.serializers.params import SystemSwitch
from tasks_app.timeline import What

Number = Annotated[int, "the last attempt's number; 0: none has begun"]


class TaskStatusData(TypedDict):
    taskId: Id
    status: TaskStanding
    attemptId: Number
    reason: str | None


class OneOffStatus(TypedDict):
    jobId: Id
    taskId: Id
    status: TaskStanding
    attemptId: Number
    reason: str | None


class TaskBrief(TypedDict):
    taskId: Id
    attemptId: Number
    status: TaskStanding
    kind: Annotated[str, TaskKind]
    scheduleTime: Millis
    dataTime: Millis
    startTime: Millis | None
    endTime: Millis | None
    reason: str | None


class TaskPage(TypedDict):
    jobId: Id
    taskIds: list[Id]
    tasks: list[TaskBrief]
    cursor: str | None


class AttemptData(TypedDict):
    attemptId: Annotated[int, "its number within the task"]
    status: Annotated[str, AttemptStatus]
    worker: str
    startTime: Millis | None
    endTime: Millis | None
    exitCode: int | None
    reason: str | None
    logSize: Annotated[int, "bytes"]
    resultSize: Annotated[int, "bytes"]
    content: NotRequired[str]
    params: NotRequired[dict[str, Any]]


class WholeTask(TaskBrief):
    jobId: Id
    reasonText: str | None
    openTime: Millis
    readyTime: Millis | None
    expireTime: Millis | None
    workerGroupId: Id
    priority: int
    batchId: Id | None
    executeUser: str
    attempts: list[AttemptData]


class TaskResult(TypedDict):
    taskId: Id
    code: Annotated[int, "0 done, 1 refused"]
    msg: str
    status: TaskStanding | None


class TaskResults(TypedDict):
    results: list[TaskResult]


class BatchData(TypedDict):
    batchId: Id
    taskIds: list[Id]
    cutTime: Millis | None


class RerunSlot(TypedDict):
    jobId: Id
    scheduleTime: Millis


class RerunPlan(TypedDict):
    count: int
    cutTime: Millis | None
    tasks: list[RerunSlot]


class RelatedTask(TypedDict):
    jobId: Id
    taskIds: list[Id]


class RelatedTasks(TypedDict):
    list: Sequence[RelatedTask]


class ExpectedRunData(TypedDict):
    due: Millis
    status: TaskStanding | None


class GateData(TypedDict):
    gate: str
    state: Annotated[str, GateState]
    reason: Annotated[str, Reason] | None
    text: str
    since: Millis | None
    window: NotRequired[list[Millis]]
    expected: NotRequired[list[ExpectedRunData]]
    isCut: NotRequired[bool]


class Explanation(TypedDict):
    jobId: Id
    scheduleTime: Millis
    taskId: Id | None
    status: TaskStanding | None
    at: Millis | None
    gates: list[GateData]


class FactData(TypedDict):
    time: Millis
    fact: Annotated[str, What]
    attemptId: int | None
    reason: str | None
    user: str | None
    text: str


class Timeline(TypedDict):
    jobId: Id
    taskId: Id
    facts: list[FactData]


class SystemStatus(TypedDict):
    status: Annotated[int, SystemSwitch]
    changeTime: Millis | None
    changeUser: str | None
