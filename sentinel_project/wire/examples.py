"""Example values for the documentation: one book of words, so that pages tell one story."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]

_NOON = 1_772_596_800_000
#: By wire name; a name that is not here is shown with a value of its type.
WORDS: Mapping[str, object] = {
    "activeEndDate": 0,
    "activeStartDate": 0,
    "appKey": "0123456789abcdef0123456789abcdef",
    "appName": "billing",
    "attemptId": 1,
    "batchId": None,
    "beatTime": _NOON,
    "bizGroupName": "ledgers",
    "bizGroups": ",1,2,",
    "changeTime": _NOON,
    "changeUser": "ann",
    "code": 0,
    "containment": "pid-namespace",
    "content": "echo hello",
    "createTime": _NOON,
    "cursor": None,
    "cutTime": None,
    "dataTime": _NOON,
    "department": "finance",
    "departmentName": "finance",
    "due": _NOON,
    "endDate": _NOON,
    "endTime": _NOON + 5_000,
    "executeUser": "ann",
    "exitCode": 0,
    "expireTime": _NOON + 86_400_000,
    "expiredTime": 86_400,
    "expression": "0 4 * * *",
    "expressionId": 12,
    "failedInterval": 3,
    "from": _NOON,
    "gate": "dependency:6",
    "host": "worker-1",
    "isEnd": True,
    "jobId": 7,
    "jobName": "daily-report",
    "jobType": "shell",
    "kind": "SCHEDULE",
    "limit": 100,
    "local": "2026-03-04T12:00:00+08:00",
    "log": "hello\n",
    "logSize": 6,
    "msg": "success",
    "name": "billing",
    "nextTime": _NOON,
    "offset": 6,
    "offsetStrategy": "cd",
    "openTime": _NOON,
    "owner": "finance team",
    "pid": 4711,
    "pool": "prefork",
    "preJobId": 6,
    "readyTime": _NOON,
    "reasonText": None,
    "removedTaskId": None,
    "result": "hello\n",
    "resultSize": 6,
    "scheduleTime": _NOON,
    "sentence": "every day at 04:00",
    "size": 10_000,
    "skippedTime": None,
    "slots": 4,
    "startDate": _NOON,
    "startTime": _NOON,
    "stopTime": None,
    "taskId": 42,
    "text": "task 41 of job 6 is RUNNING",
    "time": _NOON,
    "timeZone": "Asia/Shanghai",
    "to": _NOON + 86_400_000,
    "url": "https://billing.example/hook",
    "user": "ann",
    "utc": "2026-03-04T04:00:00+00:00",
    "warning": "job 9 waits for this one in vain",
    "window": _NOON,
    "worker": "sentinel@worker-1",
    "workerGroupId": 1,
    "workerGroupName": "default",
    "workerName": "sentinel@worker-1",
}
_PLAIN: Mapping[str, object] = {
    "integer": 1,
    "number": 1.0,
    "string": "text",
    "boolean": False,
    "null": None,
    "object": {},
}


def example(schema: Schema, found: Callable[[str], Schema], *, name: str = "") -> object:
    """Return a value of ``schema``; ``found`` gives the schema behind a reference."""
    if "$ref" in schema:
        return example(found(schema["$ref"]), found, name=name)
    if "anyOf" in schema:
        return example(schema["anyOf"][0], found, name=name)
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if name in WORDS and _kind_of(WORDS[name]) in kinds and "enum" not in schema:
        return WORDS[name]
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    if kinds[:1] == ["array"]:
        return [example(schema["items"], found, name=_one_of(name))]
    if kinds[:1] == ["object"] and "properties" in schema:
        return _object(schema, found)
    return None if "null" in kinds else _PLAIN[kinds[0]]


def _object(schema: Schema, found: Callable[[str], Schema]) -> dict[str, object]:
    """Show of a request what it needs, and all of an answer."""
    is_request = schema.get("additionalProperties") is False
    shown = schema.get("required", []) if is_request else schema["properties"]
    return {each: example(schema["properties"][each], found, name=each) for each in shown}


def _one_of(name: str) -> str:
    """Return what an entry of a list is called."""
    return name.removesuffix("s").removesuffix("List")


def _kind_of(value: object) -> str:
    kinds = {bool: "boolean", int: "integer", str: "string", type(None): "null"}
    return kinds[type(value)]
