"""``parameters`` of what is done with a job: its status, run now, skip, fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.rules.enums import JobStatus
from sentinel_project.wire.fields import (
    MAX_INSTANT,
    CodeField,
    IdField,
    InstantField,
    ListField,
    ObjectField,
    TextField,
)
from sentinel_project.wire.params import Params

_SETTABLE = [status for status in JobStatus if status is not JobStatus.EXPIRED]


class MomentField(InstantField):
    """An instant that must be given: 0 is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = 1
        self.accepts = f"epoch milliseconds from 1 to {MAX_INSTANT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStatus:
    job_ids: tuple[int, ...]
    status: JobStatus


class SetStatusParams(Params):
    """``parameters`` of /api/job/status/set."""

    builds = SetStatus

    jobIds = ListField(child=IdField(), source="job_ids", allow_empty=False)
    status = CodeField(JobStatus, among=_SETTABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """``extra`` None: the job's own parameters."""

    job_id: int
    extra: Mapping[str, Any] | None = None


class RunJobParams(Params):
    """``parameters`` of /api/job/run."""

    builds = RunJob

    jobId = IdField(source="job_id")
    params = ObjectField(source="extra", required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipSlot:
    job_id: int
    due_at: datetime
    reason: str = ""


class SkipSlotParams(Params):
    """``parameters`` of /api/job/skip."""

    builds = SkipSlot

    jobId = IdField(source="job_id")
    scheduleTime = MomentField(source="due_at")
    reason = TextField(high=1024, required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FillGaps:
    job_id: int
    start: datetime
    end: datetime


class FillGapsParams(Params):
    """``parameters`` of /api/job/fill."""

    builds = FillGaps

    jobId = IdField(source="job_id")
    from_ = MomentField(source="start")
    to = MomentField(source="end")
