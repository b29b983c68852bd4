"""Holds the report of a rehearsal against what a scenario expects; each difference is one line.

What a report must always satisfy is in ``scenario_invariants``; here is what one scenario says.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests import scenario_invariants

Json = dict[str, Any]

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[^@]*$")
_BOUNDS: Mapping[str, Callable[[datetime, datetime], bool]] = {
    "ge": lambda got, want: got >= want,
    "gt": lambda got, want: got > want,
    "le": lambda got, want: got <= want,
    "lt": lambda got, want: got < want,
}


def problems(scenario: Json, report: Json) -> list[str]:
    """Return the differences between a report and what its scenario expects."""
    expect, document = scenario["expect"], scenario["input"]
    unknown = set(expect) - set(_CHECKS) - {"may_run"}
    assert not unknown, f"the scenario expects {sorted(unknown)}, which nothing checks"
    report = _renumbered(report)
    reader = Reader(ZoneInfo(document.get("zone", "UTC")))
    found = list(scenario_invariants.problems(document, expect, report, reader.when))
    for name, check in _CHECKS.items():
        # Not given means that nothing may be refused; of everything else it means nothing.
        if name in expect or name == "refused":
            found += check(expect.get(name, []), report, reader)
    return found


@dataclass(frozen=True, slots=True)
class Reader:
    """Compares values as the scenarios mean them; naive times are in ``zone``."""

    zone: ZoneInfo

    def when(self, text: str) -> datetime:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=self.zone)).astimezone(UTC)

    def matches(self, want: Any, got: Any) -> bool:
        """Tell whether ``got`` is ``want``: a subset of a dict, an instant, a range or a choice."""
        if isinstance(want, dict):
            return self._matches_dict(want, got)
        if isinstance(want, list):
            return (
                isinstance(got, list)
                and len(want) == len(got)
                and all(self.matches(w, g) for w, g in zip(want, got, strict=True))
            )
        if _is_instant(want) and _is_instant(got):
            return self.when(want) == self.when(got)
        return type(want) is type(got) and want == got

    def _matches_dict(self, want: Json, got: Any) -> bool:
        if want and set(want) <= set(_BOUNDS):
            return got is not None and all(
                _BOUNDS[bound](self.when(got), self.when(value)) for bound, value in want.items()
            )
        if set(want) == {"any"}:
            return any(self.matches(choice, got) for choice in want["any"])
        return isinstance(got, dict) and all(
            key in got and self.matches(value, got[key]) for key, value in want.items()
        )


def _is_instant(value: Any) -> bool:
    return isinstance(value, str) and _INSTANT.match(value) is not None


def _renumbered(report: Json) -> Json:
    """Number batches in order of appearance, and manual runs job by job."""
    report = json.loads(json.dumps(report))
    batches: dict[str, int] = {}
    manual: Counter[str] = Counter()
    for task in sorted(report["tasks"], key=_natural):
        base, _, label = task["id"].partition("#")
        if label.startswith("r"):
            task["id"] = f"{base}#r{batches.setdefault(label, len(batches) + 1)}"
        elif label.startswith("m"):
            manual[task["job"]] += 1
            task["id"] = f"{base}#m{manual[task['job']]}"
    return report


def _natural(task: Json) -> tuple[str, list[tuple[int, str]]]:
    parts = re.split(r"(\d+)", task["id"])
    return task["opened"], [(int(p), "") if p.isdigit() else (0, p) for p in parts]


# -- what a scenario says, one function a word -----------------------------------------------------


def _tasks(want: Json, report: Json, reader: Reader) -> Iterator[str]:
    tasks = {task["id"]: task for task in report["tasks"]}
    for task_id, fields in want.items():
        task = tasks.get(task_id)
        if task is None:
            yield f"{task_id}: no such task"
            continue
        for name, value in fields.items():
            if not reader.matches(value, task[name]):
                yield f"{task_id}.{name}: want {value}, got {task[name]}; all of it: {task}"


def _absent(want: list[str], report: Json, reader: Reader) -> Iterator[str]:
    there = {task["id"]: task["status"] for task in report["tasks"]}
    yield from (f"{i} exists ({there[i]}) and must not" for i in want if i in there)


def _only(want: Json, report: Json, reader: Reader) -> Iterator[str]:
    for job, dues in want.items():
        runs = (t for t in report["tasks"] if t["job"] == job and t["kind"] == "SCHEDULE")
        got = sorted(task["due"] for task in runs)
        if not reader.matches(dues, got):
            missing, extra = sorted(set(dues) - set(got)), sorted(set(got) - set(dues))
            yield f"due times of {job}: missing {missing}, unexpected {extra}"


def _counts(want: Json, report: Json, reader: Reader) -> Iterator[str]:
    for job, counts in want.items():
        got = Counter(task["status"] for task in report["tasks"] if task["job"] == job)
        if got != counts:
            yield f"counts of {job}: want {counts}, got {dict(got)}"


def _order(want: list[list[str]], report: Json, reader: Reader) -> Iterator[str]:
    starts = {t["id"]: t["attempts"][0]["start"] for t in report["tasks"] if t["attempts"]}
    for first, second in want:
        a, b = starts.get(first), starts.get(second)
        if a is None or b is None or not reader.when(a) < reader.when(b):
            yield f"order: {first} ({a}) must start before {second} ({b})"


def _gaps(want: list[Json], report: Json, reader: Reader) -> Iterator[str]:
    unmatched, _ = _paired(want, report["gaps"], reader)
    yield from (f"gaps: none matches {gap}; there are {report['gaps']}" for gap in unmatched)


def _gap_counts(want: Json, report: Json, reader: Reader) -> Iterator[str]:
    for job, count in want.items():
        got = sum(gap["count"] for gap in report["gaps"] if gap["job"] == job)
        if got != count:
            yield f"gaps of {job}: want {count} slots, got {got}"


def _refused(want: Any, report: Json, reader: Reader) -> Iterator[str]:
    if want == "any":
        return
    unmatched, left = _paired(want, report["refused"], reader)
    yield from (f"not refused: {refusal}" for refusal in unmatched)
    yield from (f"refused, and should not have been: {refusal}" for refusal in left)
    yield from (f"without a message: {r}" for r in report["refused"] if not r["msg"])


def _gates(want: list[Json], report: Json, reader: Reader) -> Iterator[str]:
    for subject in want:
        wanted = {key: value for key, value in subject.items() if key != "gates"}
        answers = [a["gates"] for a in report["answers"] if reader.matches(wanted, a)]
        for gate in subject["gates"]:
            named = [g for g in (answers or [[]])[-1] if g["gate"] == gate["gate"]]
            if not any(reader.matches(gate, g) for g in named):
                yield f"gates of {wanted}: want {gate}, got {named}"


def _gate_order(want: list[Json], report: Json, reader: Reader) -> Iterator[str]:
    for subject in want:
        names: list[str] = []
        for answer in report["answers"]:
            if answer["task"] == subject["task"]:
                names = [re.sub(r":.*", ":*", gate["gate"]) for gate in answer["gates"]]
        told = [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]
        if told != subject["names"]:
            yield f"gates of {subject['task']}: want {subject['names']}, got {told}"


def _paired(want: Iterable[Json], got: Iterable[Json], reader: Reader) -> tuple[list[Any], ...]:
    """Return what has no partner on either side."""
    left, unmatched = list(got), []
    for wanted in want:
        partner = next((g for g in left if reader.matches(wanted, g)), None)
        if partner is None:
            unmatched.append(wanted)
        else:
            left.remove(partner)
    return unmatched, left


_CHECKS: Mapping[str, Callable[[Any, Json, Reader], Iterator[str]]] = {
    "tasks": _tasks,
    "absent": _absent,
    "only": _only,
    "counts": _counts,
    "order": _order,
    "gaps": _gaps,
    "gap_counts": _gap_counts,
    "refused": _refused,
    "gates": _gates,
    "gate_order": _gate_order,
}
