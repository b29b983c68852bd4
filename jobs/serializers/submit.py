"""``parameters`` of a submission, and the definition that answers as one (2-wire.md 3)."""

from __future__ import annotations

from typing import Any, cast

from jobs.models import Job
from jobs.rules.enums import (
    CommonStrategy,
    ContentType,
    Edit,
    ExpressionKind,
    JobStatus,
    MisfirePolicy,
)
from jobs.rules.spec import DependencyEdit, JobSpec, ScheduleEdit
from jobs.serializers.data import Definition
from sentinel_project.wire import schemas
from sentinel_project.wire.contacts import UrlField
from sentinel_project.wire.fields import (
    CodeField,
    FlagField,
    IdField,
    InstantField,
    IntegerField,
    LabelsField,
    ListField,
    ObjectField,
    OptionalIdField,
    SecondsField,
    TextField,
    WireField,
    WordField,
    ZoneField,
)
from sentinel_project.wire.params import Params
from tasks_app.executors import job_types

MAX_CONTENT = 1024 * 1024
WEEK = 7 * 86400
_SUBMITTED = (JobStatus.ACTIVE, JobStatus.DISABLED, JobStatus.PAUSED)


class JobTypeField(WireField):
    """A type that some executor runs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.accepts = "one of " + ", ".join(job_types())

    def to_internal_value(self, data: Any) -> Any:
        if data not in job_types():
            self.refuse(data)
        return data


@schemas.accepted.register
def _(field: JobTypeField) -> schemas.Schema:
    return {"type": "string", "enum": list(job_types())}


class NewDependencyParams(Params):
    """An entry of ``dependencyList`` of a submission: there is nothing yet to edit or delete."""

    builds = DependencyEdit

    operatorMode = CodeField(Edit, among=[Edit.ADD], source="mode")
    preJobId = IdField(source="upstream_id")
    commonStrategy = CodeField(CommonStrategy, source="strategy", required=False)
    offsetStrategy = TextField(high=64, source="offset", required=False)


class NewExpressionParams(Params):
    """An entry of ``scheduleExpressionList`` of a submission."""

    builds = ScheduleEdit

    operatorMode = CodeField(Edit, among=[Edit.ADD], source="mode")
    expressionId = OptionalIdField(source="expression_id", required=False, allow_null=True)
    expressionType = CodeField(ExpressionKind, source="kind", required=False)
    expression = TextField(low=1, high=1024, source="text")


class SubmitJobParams(Params):
    """``parameters`` of /api/job/submit."""

    builds = JobSpec
    example = {
        "jobName": "daily-report",
        "jobType": "shell",
        "content": "echo hello",
        "timeZone": "Asia/Shanghai",
        "dependencyList": [{"operatorMode": 1, "preJobId": 6, "offsetStrategy": "cd"}],
        "scheduleExpressionList": [{"operatorMode": 1, "expression": "0 4 * * *"}],
    }

    jobName = TextField(low=1, high=256, source="name")
    jobType = JobTypeField(source="job_type")
    content = TextField(low=1, max_bytes=MAX_CONTENT)
    status = CodeField(JobStatus, among=_SUBMITTED, required=False)
    contentType = CodeField(ContentType, source="content_type", required=False)
    params = ObjectField(source="extra", required=False)
    appName = TextField(low=1, high=256, source="app_name", required=False)
    workerGroupId = IdField(source="worker_group_id", required=False)
    department = TextField(high=256, required=False)
    bizGroups = LabelsField(source="biz_groups", required=False)
    priority = IntegerField(0, 10, required=False)
    isTemp = FlagField(source="is_one_off", required=False)
    activeStartDate = InstantField(source="active_from", required=False)
    activeEndDate = InstantField(source="active_until", required=False)
    expiredTime = SecondsField(source="expire_after", required=False)
    failedAttempts = IntegerField(0, 100, source="max_retries", required=False)
    failedInterval = SecondsField(0, WEEK, source="retry_interval", required=False)
    dependencyList = ListField(
        child=NewDependencyParams(), source="dependencies", required=False, allow_null=True
    )
    scheduleExpressionList = ListField(
        child=NewExpressionParams(), source="schedule", required=False, allow_null=True
    )
    isSerial = FlagField(source="is_serial", required=False)
    isShared = FlagField(source="is_shared", required=False)
    misfirePolicy = WordField(MisfirePolicy, source="misfire_policy", required=False)
    timeZone = ZoneField(source="time_zone", required=False)
    timeout = SecondsField(required=False)
    callbackUrl = UrlField(source="callback_url", required=False)


def definition(job: Job, spec: JobSpec, *, status: JobStatus) -> Definition:
    """Return the whole job as /api/job/submit would take it, with ids and the status now (D-1)."""
    whole = dict(SubmitJobParams(spec).data)
    return cast(Definition, {"jobId": job.pk, **whole, "status": int(status)})
