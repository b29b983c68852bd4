"""What it takes to turn a job as it is into the job that is wanted (pure)."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.rules.enums import CommonStrategy, Edit, ExpressionKind, JobStatus
from sentinel_project.client.document.entries import (
    LISTS,
    Dependency,
    DocumentError,
    Expression,
    Wanted,
)

_ABSENT = object()
_SHOWN_DIFF = 20


@dataclass(frozen=True, slots=True)
class UpstreamEdit:
    mode: Edit
    dependency: Dependency


@dataclass(frozen=True, slots=True)
class Difference:
    """What an edit must hold, and the same in lines for people."""

    fields: Mapping[str, Any]
    upstreams: Sequence[UpstreamEdit]
    schedule: Sequence[Mapping[str, Any]]
    status: JobStatus | None
    lines: Sequence[str]

    @property
    def is_edit(self) -> bool:
        return bool(self.fields or self.upstreams or self.schedule)


def difference(wanted: Wanted, now: Mapping[str, Any], names: Mapping[int, str]) -> Difference:
    """Compare a job that is wanted with its present definition. ``names``: of jobs, by their ids.

    What the definition does not know is sent along: the server will say what is wrong with it.
    """
    if wanted.fields["isTemp"] != now["isTemp"]:
        raise DocumentError(f"job {wanted.name!r}: isTemp never changes; choose another name")
    fields = {
        name: value
        for name, value in wanted.fields.items()
        if value != now.get(name, _ABSENT) and name != "isTemp"
    }
    upstreams = list(_upstream_edits(wanted.dependencies, _present(now, names)))
    present = [(each["expressionId"], _expression(each)) for each in now[LISTS[1]] or ()]
    schedule = _schedule_edits(wanted.schedule, present)
    status = None if wanted.status is None or _stands(now, wanted.status) else wanted.status
    lines = [
        *(line for name in fields for line in _field_lines(name, now.get(name), fields[name])),
        *map(_upstream_line, upstreams),
        *(_schedule_line(edit, dict(present)) for edit in schedule),
        *([f"status: {JobStatus(now['status']).name} -> {status.name}"] if status else []),
    ]
    return Difference(fields, upstreams, schedule, status, lines)


def _stands(now: Mapping[str, Any], status: JobStatus) -> bool:
    """Tell whether the job has the status; EXPIRED is what an ACTIVE one becomes by itself."""
    return now["status"] == status or (
        now["status"] == JobStatus.EXPIRED and status is JobStatus.ACTIVE
    )


def _present(now: Mapping[str, Any], names: Mapping[int, str]) -> list[Dependency]:
    return [
        Dependency(
            names.get(each["preJobId"], each["preJobId"]),
            each["commonStrategy"],
            each["offsetStrategy"],
        )
        for each in now[LISTS[0]] or ()
    ]


def _upstream_edits(
    wanted: Sequence[Dependency], present: Sequence[Dependency]
) -> Iterator[UpstreamEdit]:
    """Yield removals first, so that a cycle that is being turned round is never closed."""
    before = {each.upstream: each for each in present}
    after = {each.upstream: each for each in wanted}
    for upstream, gone in before.items():
        if upstream not in after:
            yield UpstreamEdit(Edit.DELETE, gone)
    for each in wanted:
        if each.upstream not in before:
            yield UpstreamEdit(Edit.ADD, each)
        elif each != before[each.upstream]:
            yield UpstreamEdit(Edit.EDIT, each)


def _expression(entry: Mapping[str, Any]) -> Expression:
    return Expression(entry["expressionType"], entry["expression"])


def _schedule_edits(
    wanted: Sequence[Expression], present: Sequence[tuple[int, Expression]]
) -> list[dict[str, Any]]:
    """Return a change set that leaves alike expressions alone, and edits before it adds."""
    left, new = list(present), []
    for each in wanted:
        same = next((one for one in left if one[1] == each), None)
        if same is None:
            new.append(each)
        else:
            left.remove(same)
    edited = list(zip(left, new, strict=False))
    return [
        *(_entry(Edit.EDIT, each, expression_id) for (expression_id, _), each in edited),
        *(_entry(Edit.ADD, each) for each in new[len(edited) :]),
        *(_entry(Edit.DELETE, gone, number) for number, gone in left[len(edited) :]),
    ]


def _entry(mode: Edit, each: Expression, expression_id: int | None = None) -> dict[str, Any]:
    named = {} if expression_id is None else {"expressionId": expression_id}
    words = {"expressionType": int(each.kind), "expression": each.text}
    return {"operatorMode": int(mode), **named, **words}


def _field_lines(name: str, before: Any, after: Any) -> Iterator[str]:
    if not isinstance(before, str) or not isinstance(after, str) or "\n" not in before + after:
        yield f"{name}: {before!r} -> {after!r}"
        return
    yield f"{name}:"
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    lines = list(found)[2:]
    yield from (f"  {line}" for line in lines[:_SHOWN_DIFF])
    if len(lines) > _SHOWN_DIFF:
        yield f"  and {len(lines) - _SHOWN_DIFF} more lines"


def _upstream_line(edit: UpstreamEdit) -> str:
    each = edit.dependency
    words = f"{each.upstream} {each.offset!r} {CommonStrategy(each.strategy).name}"
    return f"{edit.mode.name} upstream {words}"


def _schedule_line(edit: Mapping[str, Any], present: Mapping[int, Expression]) -> str:
    mode, kind = Edit(edit["operatorMode"]), ExpressionKind(edit["expressionType"])
    line = f"{mode.name} {kind.name} {edit['expression']!r}"
    if mode is Edit.EDIT:
        line += f" (was {present[edit['expressionId']].text!r})"
    return line
