"""What is answered about jobs: pages, relations, plans, previews, edits (2-wire.md 3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from jobs.models import Job, ScheduleExpression
from jobs.outlook import PlannedRun, reason_of
from jobs.preview import Binding, ComingRun, Outlook
from jobs.rules.enums import JobStatus
from jobs.selectors import Page, Relation
from jobs.serializers import data
from jobs.services import JobChange
from sentinel_project.wire.envelope import Reply, ReplyCode
from sentinel_project.wire.fields import to_millis

_SHOWN_REFUSALS = 5


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """What became of one job of a request; ``status`` None: there is no such job (W-21)."""

    job_id: int
    refusal: str = ""
    status: JobStatus | None = None
    warnings: Sequence[str] = ()


def status_answers(per_job: Iterable[JobAnswer]) -> Reply[data.JobResults]:
    """Return the reply to a request about several jobs: refused if any of them was."""
    listed_answers = list(per_job)
    refused = [answer.refusal for answer in listed_answers if answer.refusal]
    more = len(refused) - _SHOWN_REFUSALS
    shown = "; ".join(refused[:_SHOWN_REFUSALS]) + (f"; and {more} more" if more > 0 else "")
    return Reply(
        data={"results": [_answer(answer) for answer in listed_answers]},
        code=ReplyCode.REFUSED if refused else ReplyCode.OK,
        msg=f"{len(refused)} of {len(listed_answers)} refused: {shown}" if refused else "success",
    )


def _answer(answer: JobAnswer) -> data.JobResult:
    return {
        "jobId": answer.job_id,
        "code": int(ReplyCode.REFUSED if answer.refusal else ReplyCode.OK),
        "msg": answer.refusal or "success",
        "status": answer.status,
        "warnings": list(answer.warnings),
    }


def schedule_change(
    change: JobChange, rows: Iterable[ScheduleExpression], times: Iterable[datetime]
) -> data.EditedSchedule:
    """Return a job's expressions after an edit, and what the edit did to this cycle (D-57)."""
    return {
        "jobId": change.job.pk,
        "expressions": [
            {
                "expressionId": row.pk,
                "expressionType": row.kind,
                "expression": row.text,
                "nextTime": to_millis(row.next_due_at),
            }
            for row in rows
        ],
        "nextTimes": [to_millis(at) for at in times],
        **cycle(change),
    }


def cycle(change: JobChange) -> data.Cycle:
    """Say which slot an edit skipped, and which task gave way to the next one; null: none."""
    return {
        "skippedTime": to_millis(change.skipped),
        "removedTaskId": change.gave_way.pk if change.gave_way else None,
    }


def listed(page: Page[Job], *, now: datetime) -> data.JobPageData:
    return {"jobs": [_brief(job, now) for job in page.rows], "cursor": page.cursor}


def _brief(job: Job, now: datetime) -> data.JobBrief:
    return {
        "jobId": job.pk,
        "jobName": job.name,
        "jobType": job.job_type,
        "appName": job.app.name,
        "status": int(job.status_at(now)),
        "workerGroupId": cast(int, job.worker_group_id),  # the plugin takes its default for a null
        "department": job.department,
        "bizGroups": job.biz_groups,
        "priority": job.priority,
        "isTemp": job.is_one_off,
        "isSerial": job.is_serial,
        "timeZone": job.time_zone,
        "nextTime": to_millis(getattr(job, "next_due", None)),
    }


def related(found: Iterable[Relation], *, now: datetime) -> data.RelatedJobs:
    return {
        "list": [
            {
                "jobId": relation.job_id,
                "status": None if relation.job is None else int(relation.job.status_at(now)),
                "depth": relation.depth,
                "commonStrategy": int(relation.strategy),
                "offsetStrategy": relation.offset,
            }
            for relation in found
        ]
    }


def plan(runs: Iterable[PlannedRun]) -> data.Plan:
    return {
        "runs": [
            {
                "jobId": run.job.pk,
                "jobName": run.job.name,
                "scheduleTime": to_millis(run.due_at),
                "taskId": run.task.pk if run.task else None,
                "status": run.task.status if run.task else None,
                "reason": reason_of(run) or None,
            }
            for run in runs
        ]
    }


def outlook(seen: Outlook) -> data.Preview:
    """Return a preview: instants in milliseconds, and as people read them in zone and UTC."""
    zone = seen.job.zone
    return {
        "timeZone": zone.key,
        "expressions": [{"expression": text, "sentence": said} for text, said in seen.sentences],
        "nextTimes": [to_millis(run.due_at) for run in seen.runs],
        "runs": [_coming(run, run.due_at.astimezone(zone)) for run in seen.runs],
        "content": seen.rendered.content if seen.rendered else None,
        "params": seen.rendered.extra if seen.rendered else None,
        "warnings": seen.warnings,
    }


def _coming(run: ComingRun, local: datetime) -> data.ComingRunData:
    return {
        "scheduleTime": to_millis(run.due_at),
        "local": local.isoformat(),
        "utc": run.due_at.astimezone(UTC).isoformat(),
        "note": run.note,
        "upstreams": [_binding(binding) for binding in run.bindings],
    }


def _binding(binding: Binding) -> data.BoundUpstream:
    return {
        "preJobId": binding.upstream.job_id,
        "commonStrategy": int(binding.upstream.strategy),
        "offsetStrategy": binding.upstream.offset.text,
        "from": to_millis(binding.window.start),
        "to": to_millis(binding.window.end),
        "runs": [
            {
                "scheduleTime": to_millis(run.due_at),
                "status": None if run.status is None else int(run.status),
            }
            for run in binding.runs
        ],
        "isCut": binding.are_more,
    }
