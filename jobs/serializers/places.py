"""What is answered about apps, worker groups, labels and workers (2-wire.md 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypedDict

from jobs.models import App, BizGroup, Department, Grant, Job, WorkerGroup
from jobs.rules.enums import AppKind, Switch, TokenForms
from jobs.selectors import Page
from sentinel_project.wire.fields import to_millis
from sentinel_project.wire.schemas import Id, Millis
from tasks_app.models import Attempt, Worker

_WORDS = {WorkerGroup: "workerGroup", Department: "department", BizGroup: "bizGroup"}


class RegisteredApp(TypedDict):
    appId: Id
    appName: str
    appKey: Annotated[str, "shown this once"]


class TurnedKey(TypedDict):
    appName: str
    appKey: Annotated[str, "shown this once; null: the old key was dropped"] | None


class AppName(TypedDict):
    appName: str


class AppData(TypedDict):
    appId: Id
    appName: str
    appType: Annotated[str, AppKind]
    status: Annotated[int, Switch]
    owner: str
    tokenForms: Annotated[str, TokenForms]
    maxConcurrency: int
    maxPriority: int
    workerGroupIds: list[Id]
    jobTypes: Annotated[dict[str, list[int]], "worker groups by jobType; empty: all"]
    hasOldKey: bool
    createTime: Millis


class AppPage(TypedDict):
    apps: list[AppData]
    cursor: str | None


class WorkerGroupRef(TypedDict):
    workerGroupId: Id
    workerGroupName: str


class WorkerGroupData(WorkerGroupRef):
    status: Annotated[int, Switch]
    liveSlots: int


class WorkerGroupPage(TypedDict):
    workerGroups: list[WorkerGroupData]
    cursor: str | None


class DepartmentRef(TypedDict):
    departmentId: Id
    departmentName: str


class DepartmentPage(TypedDict):
    departments: list[DepartmentRef]
    cursor: str | None


class BizGroupRef(TypedDict):
    bizGroupId: Id
    bizGroupName: str


class BizGroupPage(TypedDict):
    bizGroups: list[BizGroupRef]
    cursor: str | None


class RunningAttempt(TypedDict):
    taskId: Id
    attemptId: Annotated[int, "its number within the task"]
    jobId: Id


class WorkerData(TypedDict):
    workerId: Id
    workerName: str
    host: str
    pid: int
    pool: str
    slots: int
    containment: str
    workerGroupIds: list[Id]
    isAlive: bool
    startTime: Millis
    beatTime: Millis
    stopTime: Millis | None
    runs: list[RunningAttempt]


class WorkerPage(TypedDict):
    workers: list[WorkerData]
    cursor: str | None


class JobGrantsData(TypedDict):
    jobId: Id
    appNames: list[str]


def registered(app: App, key: str) -> RegisteredApp:
    return {"appId": app.pk, "appName": app.name, "appKey": key}


def turned(app: App, key: str | None) -> TurnedKey:
    """Return an app's fresh key; None: its old one was dropped."""
    return {"appName": app.name, "appKey": key}


def app(row: App) -> AppData:
    """Return an app without its keys."""
    return {
        "appId": row.pk,
        "appName": row.name,
        "appType": row.kind,
        "status": _switch(row.is_enabled),
        "owner": row.owner,
        "tokenForms": row.token_forms,
        "maxConcurrency": row.max_concurrency,
        "maxPriority": row.max_priority,
        "workerGroupIds": sorted(group.pk for group in row.allowed_groups.all()),
        "jobTypes": row.allowed_types,
        "hasOldKey": bool(row.sealed_old_key),
        "createTime": to_millis(row.created_at),
    }


def app_page(page: Page[App]) -> AppPage:
    return {"apps": [app(row) for row in page.rows], "cursor": page.cursor}


def place(row: WorkerGroup | Department | BizGroup) -> dict[str, object]:
    word = _WORDS[type(row)]
    return {f"{word}Id": row.pk, f"{word}Name": row.name}


def label_page(model: type[Any], page: Page[Any]) -> dict[str, object]:
    return {f"{_WORDS[model]}s": [place(row) for row in page.rows], "cursor": page.cursor}


def group(row: WorkerGroup, slots: Mapping[int, int]) -> WorkerGroupData:
    """Return a worker group with the slots of its live workers; none: its tasks wait (D-81)."""
    return {
        "workerGroupId": row.pk,
        "workerGroupName": row.name,
        "status": _switch(row.is_enabled),
        "liveSlots": slots.get(row.pk, 0),
    }


def group_page(page: Page[WorkerGroup], slots: Mapping[int, int]) -> WorkerGroupPage:
    return {"workerGroups": [group(row, slots) for row in page.rows], "cursor": page.cursor}


def worker_page(
    page: Page[Worker], live_ids: set[int], running: Mapping[str, Sequence[Attempt]]
) -> WorkerPage:
    rows = [_worker(row, row.pk in live_ids, running.get(row.name, ())) for row in page.rows]
    return {"workers": rows, "cursor": page.cursor}


def _worker(row: Worker, is_live: bool, running: Iterable[Attempt]) -> WorkerData:
    return {
        "workerId": row.pk,
        "workerName": row.name,
        "host": row.host,
        "pid": row.pid,
        "pool": row.pool,
        "slots": row.slots,
        "containment": row.containment,
        "workerGroupIds": sorted(group.pk for group in row.groups.all()),
        "isAlive": is_live,
        "startTime": to_millis(row.started_at),
        "beatTime": to_millis(row.beat_at),
        "stopTime": to_millis(row.stopped_at),
        "runs": [
            {"taskId": attempt.task_id, "attemptId": attempt.number, "jobId": attempt.task.job_id}
            for attempt in running
        ],
    }


def grants(job: Job, rows: Iterable[Grant]) -> JobGrantsData:
    return {"jobId": job.pk, "appNames": [row.app_name for row in rows]}


def _switch(is_enabled: bool) -> int:
    return int(Switch.ENABLED if is_enabled else Switch.DISABLED)
