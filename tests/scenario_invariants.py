"""What the report of every rehearsal satisfies, whatever its document says (3-execution.md 7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

Json = dict[str, Any]
When = Callable[[str], datetime]
#: (start, end, task id); an open attempt has no end.
Spell = tuple[datetime, datetime | None, str]

_FINAL = {"SUCCESS", "FAILED", "KILLED", "REMOVED"}
_GAP_REASONS = {"SKIPPED", "EDITED", "NO_UPSTREAM_YET", "EXPIRED", "CAPPED"}


def problems(document: Json, expect: Json, report: Json, when: When) -> Iterator[str]:
    """Yield each violation as a line."""
    jobs = _jobs(document)
    yield from _uniqueness(report)
    yield from _order(report, when)
    yield from _openings(document, jobs, report, when)
    for task in report["tasks"]:
        yield from _states(task, expect)
        yield from _attempts(task, jobs.get(task["job"], {}), _retries(task, document, when), when)
    yield from _overlaps(jobs, report, when)
    yield from _slots(document, report, when)
    yield from _gaps(report, when)


def _jobs(document: Json) -> dict[str, Json]:
    jobs = {job["id"]: job for job in document["jobs"]}
    for action in document.get("actions", []):
        if action["do"] == "submit" and isinstance(action.get("job"), dict):
            jobs.setdefault(action["job"].get("id"), action["job"])
    return jobs


def _uniqueness(report: Json) -> Iterator[str]:
    ids = Counter(task["id"] for task in report["tasks"])
    slots = Counter((t["job"], t["due"]) for t in report["tasks"] if t["kind"] == "SCHEDULE")
    yield from (f"{found} is there {n} times" for found, n in (ids | slots).items() if n > 1)


def _order(report: Json, when: When) -> Iterator[str]:
    keys = [(when(t["opened"]), t["job"], when(t["due"])) for t in report["tasks"]]
    yield from (f"tasks are not in order at {b}" for a, b in pairwise(keys) if b < a)


def _openings(document: Json, jobs: dict[str, Json], report: Json, when: When) -> Iterator[str]:
    """A slot is never opened early; a name of a schedule-less job may be (D-36)."""
    actions = document.get("actions", [])
    edited = {action["job"] for action in actions if action["do"] == "set_schedule"}
    scheduled = {name for name, job in jobs.items() if job.get("schedule")} - edited
    for task in report["tasks"]:
        is_slot = task["kind"] == "SCHEDULE" and task["job"] in scheduled
        if is_slot and when(task["opened"]) < when(task["due"]):
            yield f"{task['id']} was opened at {task['opened']}, before its due time"


def _states(task: Json, expect: Json) -> Iterator[str]:
    name, status, attempts = task["id"], task["status"], task["attempts"]
    may_run = expect.get("may_run", [])
    is_expected = expect.get("tasks", {}).get(name, {}).get("status") == "RUNNING"
    if status == "RUNNING" and not (is_expected or name in may_run or "*" in may_run):
        yield f"{name} is still RUNNING at the end"
    is_open = bool(attempts) and attempts[-1]["end"] is None
    if (status == "RUNNING") is not is_open or any(a["end"] is None for a in attempts[:-1]):
        yield f"{name} is {status} and its attempts are {attempts}"
    if (status in _FINAL) is not (task["ended"] is not None):
        yield f"{name} is {status} and ended {task['ended']}"
    if task["reason"] == "EXPIRED" and (status != "FAILED" or attempts):
        yield f"{name}: EXPIRED means FAILED without an attempt; it is {status} with {attempts}"
    if [attempt["n"] for attempt in attempts] != list(range(1, len(attempts) + 1)):
        yield f"{name}: its attempts are not numbered 1, 2, …: {attempts}"


def _retries(task: Json, document: Json, when: When) -> list[datetime]:
    """Return when an operator retried a task."""
    name = task["id"].split("#")[0]
    actions = (a for a in document.get("actions", []) if a["do"] == "retry")
    return [when(a["at"]) for a in actions if str(a["task"]).split("#")[0] == name]


def _attempts(task: Json, job: Json, retries: list[datetime], when: When) -> Iterator[str]:
    """Budget and spacing (X-6); nothing starts before it was opened and released."""
    name, attempts = task["id"], task["attempts"]
    if len(attempts) > (1 + job.get("failedAttempts", 0)) * (1 + len(retries)):
        yield f"{name}: {len(attempts)} attempts are more than its budget"
    spells = [(when(a["start"]), when(a["end"]) if a["end"] else None) for a in attempts]
    for start, end in spells:
        if start < when(task["opened"]) or (end is not None and end < start):
            yield f"{name}: an attempt from {start} to {end}, opened {task['opened']}"
        is_early = task["released"] is not None and start < when(task["released"])
        if is_early and not any(retry >= start for retry in retries):
            yield f"{name}: an attempt at {start}, before its release at {task['released']}"
    pause = timedelta(seconds=job.get("failedInterval", 3))
    for (_, end), (start, _) in pairwise(spells):
        is_retried = end is not None and any(end <= retry <= start for retry in retries)
        if end is None or start < end or (start - end < pause and not is_retried):
            yield f"{name}: the attempts end at {end} and start at {start}, too close"


def _spells(tasks: Iterable[Json], when: When) -> list[Spell]:
    """Return the attempts that took time, by their start."""
    found: list[Spell] = []
    for task in tasks:
        for attempt in task["attempts"]:
            start = when(attempt["start"])
            end = when(attempt["end"]) if attempt["end"] else None
            if end is None or end > start:
                found.append((start, end, task["id"]))
    return sorted(found, key=lambda spell: (spell[0], spell[2]))


def _overlaps(jobs: dict[str, Json], report: Json, when: When) -> Iterator[str]:
    """Runs of one serial job never overlap, whatever their kind (D-40)."""
    for name in (name for name, job in jobs.items() if job.get("isSerial")):
        runs = _spells((task for task in report["tasks"] if task["job"] == name), when)
        for (_, end, first), (start, _, second) in pairwise(runs):
            if end is None or start < end:
                yield f"runs of a serial job overlap: {first} and {second}"


def _slots(document: Json, report: Json, when: When) -> Iterator[str]:
    if not document.get("slots"):
        return
    steps = []
    for start, end, _ in _spells(report["tasks"], when):
        steps += [(start, 1)] + ([(end, -1)] if end else [])
    running = 0
    for moment, step in sorted(steps):
        running += step
        if running > document["slots"]:
            yield f"{running} attempts at once at {moment}"


def _gaps(report: Json, when: When) -> Iterator[str]:
    for gap in report["gaps"]:
        is_span = when(gap["from"]) <= when(gap["to"]) and gap["count"] >= 1
        if gap["reason"] not in _GAP_REASONS or not is_span:
            yield f"a gap that is none: {gap}"
