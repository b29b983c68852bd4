"""/api/alarm/…: whom to tell when a job's runs do not go as they should, and whether it worked."""

from __future__ import annotations

from jobs import selectors
from jobs.endpoint import Call, Endpoint, Mutation
from tasks_app import alarm_services
from tasks_app.selectors import task_of
from tasks_app.serializers import alarms as wire


class AddAlarmView(Mutation):
    """/api/alarm/add: have somebody told of a job's failures and delays (D-84)."""

    params = wire.AddAlarmParams

    def handle(self, call: Call, params: wire.NewAlarm) -> wire.AlarmData:
        made = alarm_services.add_alarm(
            params.job_id, params, app=call.app, user=call.user, now=call.now
        )
        return wire.alarm(made)


class EditAlarmView(Mutation):
    """/api/alarm/edit: change what is given, leave the rest."""

    params = wire.EditAlarmParams

    def handle(self, call: Call, params: wire.AlarmEdit) -> wire.AlarmData:
        edited = alarm_services.edit_alarm(
            params.alarm_id, params.changes, app=call.app, user=call.user, now=call.now
        )
        return wire.alarm(edited)


class DeleteAlarmView(Mutation):
    """/api/alarm/delete: tell nobody any more; what is on its way is delivered."""

    params = wire.AlarmRefParams

    def handle(self, call: Call, params: wire.AlarmRef) -> wire.DeletedAlarm:
        job_id = alarm_services.delete_alarm(
            params.alarm_id, app=call.app, user=call.user, now=call.now
        )
        return {"alarmId": params.alarm_id, "jobId": job_id}


class AlarmListView(Endpoint):
    """/api/alarm/query: the alarms of a job, or of all one's jobs."""

    params = wire.AlarmListParams

    def handle(self, call: Call, params: wire.AlarmListing) -> wire.AlarmPage:
        if params.job_id is not None:
            selectors.job_of(call.app, params.job_id)
        rows = alarm_services.alarms_of(call.app, params.job_id)
        return wire.alarm_page(selectors.page_of(rows, limit=params.limit, cursor=params.cursor))


class DeliveryListView(Endpoint):
    """/api/alarm/delivery/list: what was told to whom, and what came of each try."""

    params = wire.DeliveryListParams

    def handle(self, call: Call, params: wire.DeliveryListing) -> wire.DeliveryPage:
        filters: dict[str, object] = {}
        if params.job_id is not None:
            filters["job"] = selectors.job_of(call.app, params.job_id)
        if params.task_id is not None:
            filters["task"] = task_of(call.app, params.task_id)
        if params.alarm_id is not None:
            filters["alarm"] = alarm_services.alarm_of(call.app, params.alarm_id)
        if params.state is not None:
            filters["state"] = params.state.value
        rows = alarm_services.deliveries_of(call.app, **filters).prefetch_related("log")
        return wire.delivery_page(selectors.page_of(rows, limit=params.limit, cursor=params.cursor))


class RedeliverView(Mutation):
    """/api/alarm/delivery/redeliver: send one once more."""

    params = wire.DeliveryRefParams

    def handle(self, call: Call, params: wire.DeliveryRef) -> wire.DeliveryStanding:
        return wire.standing(
            alarm_services.redeliver(params.delivery_id, app=call.app, user=call.user, now=call.now)
        )
