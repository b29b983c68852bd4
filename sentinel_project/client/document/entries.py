"""The jobs of a document, in the wire's words: read from what people write, and back (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from jobs.rules.enums import CommonStrategy, ContentType, ExpressionKind, JobStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: What the wire takes a field for that is not given (docs/wire.md, /api/job/submit).
DEFAULTS: Mapping[str, Any] = {
    "contentType": int(ContentType.TEXT),
    "params": {},
    "workerGroupId": 1,
    "department": "",
    "bizGroups": "",
    "priority": 1,
    "isTemp": False,
    "activeStartDate": 0,
    "activeEndDate": 0,
    "expiredTime": 86400,
    "failedAttempts": 0,
    "failedInterval": 3,
    "isSerial": False,
    "isShared": False,
    "misfirePolicy": "all",
    "timeout": 0,
    "callbackUrl": "",
}
LISTS = ("dependencyList", "scheduleExpressionList")
_NEEDED = ("jobName", "jobType", "content")
_INSTANTS = ("activeStartDate", "activeEndDate")
_OURS = ("jobId", "appName", *LISTS, "status")
_STATUSES = (JobStatus.ACTIVE, JobStatus.DISABLED, JobStatus.PAUSED)


class DocumentError(Exception):
    """The document cannot be read, or contradicts itself. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """An upstream: by its name, or by its id if it is another app's."""

    upstream: str | int
    strategy: int
    offset: str


@dataclass(frozen=True, slots=True)
class Expression:
    kind: int
    text: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job as the document wants it. ``status`` None: as it is."""

    name: str
    fields: Mapping[str, Any]
    dependencies: Sequence[Dependency] = ()
    schedule: Sequence[Expression] = ()
    status: JobStatus | None = None


def wanted_jobs(document: Any) -> list[Wanted]:
    """Return the jobs of a document that was read, or say which entry is wrong and how."""
    if not isinstance(document, dict) or set(document) != {"jobs"}:
        raise DocumentError("a document is an object with one name, jobs")
    entries = [] if document["jobs"] is None else document["jobs"]
    if not isinstance(entries, list):
        raise DocumentError("jobs must be a list")
    found = [_wanted(entry, f"jobs[{n}]") for n, entry in enumerate(entries)]
    names = [each.name for each in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DocumentError(f"the document has the job {twice[0]!r} twice")
    return found


def _wanted(entry: Any, place: str) -> Wanted:
    if not isinstance(entry, dict):
        raise DocumentError(f"{place} must be an object")
    for name in _NEEDED:
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise DocumentError(f"{place}.{name} is missing, or no text")
    place = f"job {entry['jobName']!r}"
    for name in ("jobId", "appName"):
        if name in entry:
            raise DocumentError(f"{place}: {name} does not belong into a document")
    given = {name: _number(name, value, place) for name, value in entry.items()}
    fields = {**DEFAULTS, **{name: given[name] for name in given if name not in _OURS}}
    dependencies = [_dependency(each, place) for each in _list(entry, LISTS[0], place)]
    if len({each.upstream for each in dependencies}) < len(dependencies):
        raise DocumentError(f"{place} waits for the same job twice")
    return Wanted(
        name=entry["jobName"],
        fields=fields,
        dependencies=dependencies,
        schedule=[_expression(each, place) for each in _list(entry, LISTS[1], place)],
        status=_status(given["status"], place) if "status" in given else None,
    )


def _list(entry: Mapping[str, Any], name: str, place: str) -> list[Any]:
    found = entry.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise DocumentError(f"{place}: {name} must be a list of objects")
    return found


def _number(name: str, value: Any, place: str) -> Any:
    """Return what the wire takes for a word, an instant or a list of labels."""
    if name == "contentType":
        return _code(ContentType, value, f"{place}: {name}")
    if name == "status":
        return _code(JobStatus, value, f"{place}: {name}")
    if name in _INSTANTS and isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            raise DocumentError(f"{place}: {name} is no ISO 8601 instant: {value}") from None
        if instant.tzinfo is None:
            raise DocumentError(f"{place}: {name} needs an offset, such as {value}+08:00")
        return (instant - _EPOCH) // timedelta(milliseconds=1)
    if name == "bizGroups" and isinstance(value, list):
        return "".join(f",{label}" for label in value) + ("," if value else "")
    return value


def _code(codes: type[IntEnum], value: Any, place: str) -> int:
    for each in codes:
        if value in (each.name, int(each)) and not isinstance(value, bool):
            return int(each)
    listed = ", ".join(each.name for each in codes)
    raise DocumentError(f"{place} must be one of {listed}, not {value!r}")


def _status(number: int, place: str) -> JobStatus:
    if number not in _STATUSES:
        raise DocumentError(f"{place}: status must be ACTIVE, DISABLED or PAUSED")
    return JobStatus(number)


def _only(entry: Mapping[str, Any], known: set[str], place: str) -> None:
    if unknown := sorted(set(map(str, entry)) - known):
        raise DocumentError(f"{place} has no {unknown[0]}; it has {', '.join(sorted(known))}")


def _dependency(entry: Mapping[str, Any], place: str) -> Dependency:
    place = f"{place}: an entry of dependencyList"
    _only(entry, {"job", "preJobId", "commonStrategy", "offsetStrategy"}, place)
    upstream = entry.get("job", entry.get("preJobId"))
    if ("job" in entry) == ("preJobId" in entry) or not isinstance(upstream, str | int):
        raise DocumentError(f"{place} names either job, by its name, or preJobId")
    strategy = _code(CommonStrategy, entry.get("commonStrategy", "ALL"), f"{place}: commonStrategy")
    offset = entry.get("offsetStrategy", "cd")
    return Dependency(upstream, strategy, "" if offset is None else str(offset))


def _expression(entry: Mapping[str, Any], place: str) -> Expression:
    place = f"{place}: an entry of scheduleExpressionList"
    _only(entry, {"expressionType", "expression"}, place)
    kind = _code(ExpressionKind, entry.get("expressionType", "CRON"), f"{place}: expressionType")
    if not isinstance(entry.get("expression"), str):
        raise DocumentError(f"{place} needs an expression, which is text")
    return Expression(kind, entry["expression"])


def entry_of(definition: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    """Return a definition as a document's entry: defaults left out, upstreams by their names."""
    entry = {name: definition[name] for name in _NEEDED}
    for name, value in definition.items():
        if name not in (*_NEEDED, *_OURS) and value != DEFAULTS.get(name):
            entry[name] = _written(name, value)
    status = definition["status"]
    if status in (JobStatus.DISABLED, JobStatus.PAUSED):
        entry["status"] = JobStatus(status).name
    upstreams = [_written_dependency(each, names) for each in definition[LISTS[0]] or ()]
    schedule = [
        {
            "expressionType": ExpressionKind(each["expressionType"]).name,
            "expression": each["expression"],
        }
        for each in definition[LISTS[1]] or ()
    ]
    return entry | {
        name: items for name, items in zip(LISTS, (upstreams, schedule), strict=True) if items
    }


def _written(name: str, value: Any) -> Any:
    if name == "contentType":
        return ContentType(value).name
    if name == "bizGroups":
        return [int(label) for label in value.split(",") if label]
    if name in _INSTANTS:
        return (_EPOCH + timedelta(milliseconds=value)).isoformat(timespec="milliseconds")
    return value


def _written_dependency(entry: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    upstream = entry["preJobId"]
    named = {"job": names[upstream]} if upstream in names else {"preJobId": upstream}
    return {
        **named,
        "commonStrategy": CommonStrategy(entry["commonStrategy"]).name,
        "offsetStrategy": entry["offsetStrategy"],
    }
