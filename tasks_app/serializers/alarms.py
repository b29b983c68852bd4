"""The wire's words for alarms and deliveries (D-84)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypedDict

from jobs.selectors import Page
from sentinel_project.wire.contacts import MailField, WebhookField
from sentinel_project.wire.fields import (
    FlagField,
    IdField,
    IntegerField,
    ListField,
    SecondsField,
    TextField,
    WordField,
    to_millis,
)
from sentinel_project.wire.params import Given, Params
from sentinel_project.wire.schemas import Id, Millis, Seconds
from tasks_app.alarm_services import MAX_RECEIVERS, AlarmSpec
from tasks_app.models import Alarm, Delivery
from tasks_app.rules.notices import AlarmEvent, Channel, DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAlarm(AlarmSpec):
    job_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmEdit:
    alarm_id: int
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRef:
    alarm_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmListing:
    job_id: int | None = None
    limit: int = 100
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryListing:
    """Which deliveries are looked for."""

    job_id: int | None = None
    task_id: int | None = None
    alarm_id: int | None = None
    state: DeliveryState | None = None
    limit: int = 100
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRef:
    delivery_id: int


class _Receivers(ListField):
    """A few addresses."""

    def to_internal_value(self, data: Any) -> Any:
        found = super().to_internal_value(data)
        if len(found) > MAX_RECEIVERS:
            self.fail("max_length")
        return found

    default_error_messages = {"max_length": f"must hold at most {MAX_RECEIVERS}"}


class _AlarmParams(Params):
    """What an alarm is about, and whom it tells."""

    events = ListField(child=WordField(AlarmEvent), required=False, allow_null=True)
    startWithin = SecondsField(source="start_within", required=False)
    finishWithin = SecondsField(source="finish_within", required=False)
    webhooks = _Receivers(child=WebhookField(), required=False, allow_null=True)
    mails = _Receivers(child=MailField(), required=False, allow_null=True)
    quietTime = SecondsField(source="quiet_for", required=False)
    isEnabled = FlagField(source="is_enabled", required=False)


class AddAlarmParams(_AlarmParams):
    """``parameters`` of /api/alarm/add."""

    builds = NewAlarm
    example = {"jobId": 7, "events": ["FAILED"], "mails": ["ann@example.com"]}

    jobId = IdField(source="job_id")


class EditAlarmParams(_AlarmParams):
    """``parameters`` of /api/alarm/edit: what is absent stays."""

    builds: ClassVar[type[Any]] = Given

    alarmId = IdField(source="alarm_id")

    def to_internal_value(self, data: Any) -> Any:
        given: dict[str, Any] = super().to_internal_value(data)
        return AlarmEdit(alarm_id=given.pop("alarm_id"), changes=given)


class AlarmRefParams(Params):
    """``parameters`` of /api/alarm/delete."""

    builds = AlarmRef

    alarmId = IdField(source="alarm_id")


class AlarmListParams(Params):
    """``parameters`` of /api/alarm/query."""

    builds = AlarmListing

    jobId = IdField(source="job_id", required=False)
    limit = IntegerField(1, 1000, required=False)
    cursor = TextField(high=64, required=False, allow_null=True)


class DeliveryListParams(Params):
    """``parameters`` of /api/alarm/delivery/list."""

    builds = DeliveryListing

    jobId = IdField(source="job_id", required=False)
    taskId = IdField(source="task_id", required=False)
    alarmId = IdField(source="alarm_id", required=False)
    state = WordField(DeliveryState, required=False)
    limit = IntegerField(1, 1000, required=False)
    cursor = TextField(high=64, required=False, allow_null=True)


class DeliveryRefParams(Params):
    """``parameters`` of /api/alarm/delivery/redeliver."""

    builds = DeliveryRef

    deliveryId = IdField(source="delivery_id")


class AlarmData(TypedDict):
    alarmId: Id
    jobId: Id
    events: list[Annotated[str, AlarmEvent]]
    startWithin: Seconds
    finishWithin: Seconds
    webhooks: list[str]
    mails: list[str]
    quietTime: Seconds
    isEnabled: bool
    createTime: Millis
    createUser: str


class AlarmPage(TypedDict):
    alarms: list[AlarmData]
    cursor: str | None


class DeletedAlarm(TypedDict):
    alarmId: Id
    jobId: Id


class TryData(TypedDict):
    time: Millis
    tookMillis: int
    isGood: bool
    answer: str


class DeliveryStanding(TypedDict):
    deliveryId: Id
    state: Annotated[str, DeliveryState]


class DeliveryData(DeliveryStanding):
    jobId: Annotated[Id, "null: about the system"] | None
    taskId: Annotated[Id, "null: the run was never opened"] | None
    scheduleTime: Annotated[Millis, "of a run that an alarm is about"] | None
    alarmId: Id | None
    event: Annotated[str, "empty: a callback"]
    channel: Annotated[str, Channel]
    target: str
    createTime: Millis
    nextTime: Millis | None
    endTime: Millis | None
    tries: list[TryData]


class DeliveryPage(TypedDict):
    deliveries: list[DeliveryData]
    cursor: str | None


def alarm(row: Alarm) -> AlarmData:
    return {
        "alarmId": row.pk,
        "jobId": row.job_id,
        "events": row.events,
        "startWithin": int(row.start_within.total_seconds()) if row.start_within else 0,
        "finishWithin": int(row.finish_within.total_seconds()) if row.finish_within else 0,
        "webhooks": row.webhooks,
        "mails": row.mails,
        "quietTime": int(row.quiet_for.total_seconds()),
        "isEnabled": row.is_enabled,
        "createTime": to_millis(row.created_at),
        "createUser": row.created_by,
    }


def alarm_page(page: Page[Alarm]) -> AlarmPage:
    return {"alarms": [alarm(row) for row in page.rows], "cursor": page.cursor}


def standing(row: Delivery) -> DeliveryStanding:
    return {"deliveryId": row.pk, "state": row.state}


def delivery_page(page: Page[Delivery]) -> DeliveryPage:
    return {"deliveries": [_delivery(row) for row in page.rows], "cursor": page.cursor}


def _delivery(row: Delivery) -> DeliveryData:
    return {
        "deliveryId": row.pk,
        "state": row.state,
        "jobId": row.job_id,
        "taskId": row.task_id,
        "scheduleTime": to_millis(row.due_at),
        "alarmId": row.alarm_id,
        "event": row.event,
        "channel": row.channel,
        "target": row.target,
        "createTime": to_millis(row.created_at),
        "nextTime": to_millis(row.next_at),
        "endTime": to_millis(row.ended_at),
        "tries": [
            {
                "time": to_millis(each.at),
                "tookMillis": each.took_ms,
                "isGood": each.is_good,
                "answer": each.answer,
            }
            for each in row.log.all()
        ],
    }
