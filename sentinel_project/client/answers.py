"""What the endpoints answer, with types: the names and values are the wire's (docs/wire.md).

Instants are epoch milliseconds. An answer may hold more than is listed: a newer server says more.
"""

from __future__ import annotations

from typing import Any, TypedDict


class Submitted(TypedDict):
    jobId: int
    nextTimes: list[int]


class Edited(TypedDict):
    jobId: int
    skippedTime: int | None
    removedTaskId: int | None


class JobBrief(TypedDict):
    """A job as it stands in a list."""

    jobId: int
    jobName: str
    jobType: str
    appName: str
    status: int
    workerGroupId: int
    department: str
    bizGroups: str
    priority: int
    isTemp: bool
    isSerial: bool
    timeZone: str
    nextTime: int | None


class TaskStanding(TypedDict):
    """How a task stands. ``attemptId`` 0: none has begun."""

    taskId: int
    status: int
    attemptId: int
    reason: str | None


class TaskBrief(TaskStanding):
    """A task as it stands in a list."""

    kind: str
    scheduleTime: int
    dataTime: int
    startTime: int | None
    endTime: int | None


class AttemptAnswer(TypedDict):
    attemptId: int
    status: str
    worker: str
    startTime: int | None
    endTime: int | None
    exitCode: int | None
    reason: str | None
    logSize: int
    resultSize: int


class TaskWhole(TaskBrief):
    """Everything about a task."""

    jobId: int
    reasonText: str | None
    openTime: int
    readyTime: int | None
    expireTime: int | None
    workerGroupId: int
    priority: int
    batchId: int | None
    executeUser: str
    attempts: list[AttemptAnswer]


class TaskOutcome(TypedDict):
    """What a verb did to one task of a list; ``code`` 0: done."""

    taskId: int
    code: int
    msg: str
    status: int | None


class JobOutcome(TypedDict):
    """What a change of status did to one job of a list; ``code`` 0: done."""

    jobId: int
    code: int
    msg: str
    status: int | None
    warnings: list[str]


class Batch(TypedDict):
    batchId: int
    taskIds: list[int]
    cutTime: int | None


class BatchPlan(TypedDict):
    """A rerun as it would be; ``tasks`` are ``{"jobId", "scheduleTime"}``."""

    count: int
    cutTime: int | None
    tasks: list[dict[str, int]]


class PlannedRun(TypedDict):
    jobId: int
    jobName: str
    scheduleTime: int
    taskId: int | None
    status: int | None
    reason: str | None


class Preview(TypedDict):
    """What a submission or an edit would do; ``runs`` say which upstream runs each waits for."""

    timeZone: str
    expressions: list[dict[str, str]]
    nextTimes: list[int]
    runs: list[dict[str, Any]]
    warnings: list[str]


class AppBrief(TypedDict):
    """What an app is and may do; never its key."""

    appId: int
    appName: str
    appType: str
    status: int
    owner: str
    tokenForms: str
    maxConcurrency: int
    maxPriority: int
    workerGroupIds: list[int]
    jobTypes: dict[str, list[int]]
    hasOldKey: bool
    createTime: int


class Explanation(TypedDict):
    """The gates of a run in order; ``at`` None: as it is now."""

    jobId: int
    scheduleTime: int
    taskId: int | None
    status: int | None
    at: int | None
    gates: list[dict[str, Any]]


class Timeline(TypedDict):
    jobId: int
    taskId: int
    facts: list[dict[str, Any]]


class Slice(TypedDict):
    """A piece of a stream; ``offset``, in bytes, is where the next one begins."""

    log: str
    offset: int
    isEnd: bool
