"""What a caller asks for, in our words: the frozen values serializers build and services take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jobs.rules.enums import (
    CommonStrategy,
    ContentType,
    Edit,
    ExpressionKind,
    JobStatus,
    MisfirePolicy,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyEdit:
    """One entry of ``dependencyList``. Absent strategy and offset mean ALL and ``cd`` (D-30)."""

    mode: Edit = Edit.ADD
    upstream_id: int
    strategy: CommonStrategy = CommonStrategy.ALL
    offset: str = "cd"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleEdit:
    """One entry of ``scheduleExpressionList``; EDIT and DELETE name their expression."""

    mode: Edit = Edit.ADD
    expression_id: int | None = None
    kind: ExpressionKind = ExpressionKind.CRON
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A whole job as submitted, with the published defaults (2-wire.md 3)."""

    name: str
    job_type: str
    content: str
    status: JobStatus = JobStatus.ACTIVE
    content_type: ContentType = ContentType.TEXT
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: None: the app of the envelope. Another one only for ADMIN apps (D-80).
    app_name: str | None = None
    worker_group_id: int = 1
    department: str = ""
    biz_groups: tuple[int, ...] = ()
    priority: int = 1
    is_one_off: bool = False
    active_from: datetime | None = None
    active_until: datetime | None = None
    expire_after: timedelta = timedelta(days=1)
    max_retries: int = 0
    retry_interval: timedelta = timedelta(seconds=3)
    dependencies: tuple[DependencyEdit, ...] = ()
    schedule: tuple[ScheduleEdit, ...] = ()
    is_serial: bool = False
    #: Other apps' jobs may wait for it (D-80).
    is_shared: bool = False
    misfire_policy: MisfirePolicy = MisfirePolicy.ALL
    #: None: the installation's SENTINEL_TIME_ZONE (D-10).
    time_zone: str | None = None
    timeout: timedelta = timedelta(0)
    callback_url: str = ""
