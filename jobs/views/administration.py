"""/api/app/…, /api/workerGroup/…, /api/worker/…, /api/department/… and /api/bizGroup/…: places."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction

from jobs import app_services, operators, place_services, selectors
from jobs.endpoint import Call, Endpoint, Mutation
from jobs.models import App, BizGroup, Department, WorkerGroup
from jobs.serializers import administration as wire
from jobs.serializers import places
from tasks_app import workers
from tasks_app.models import Worker


def _words(call: Call) -> dict[str, Any]:
    """Return who asks, as the services of places take it."""
    return {"by": call.app, "user": call.user, "now": call.now}


# -- apps ------------------------------------------------------------------------------------------


class AddAppView(Mutation):
    """/api/app/add: register an app; the one answer that shows its key."""

    for_admins = seals_answer = True
    params = wire.AddAppParams

    def handle(self, call: Call, params: wire.NewApp) -> places.RegisteredApp:
        app, key = app_services.register_app(
            name=params.name, kind=params.kind, limits=params.limits, **_words(call)
        )
        return places.registered(app, key)


class EditAppView(Mutation):
    """/api/app/edit: what an app may do, and whether it may call."""

    for_admins = True
    params = wire.EditAppParams

    @transaction.atomic
    def handle(self, call: Call, params: wire.AppEdit) -> places.AppData:
        app = app_services.locked_app(params.name)
        app_services.edit_app(app, params.changes, **_words(call))
        return places.app(app_services.locked_app(params.name))


class DeleteAppView(Mutation):
    """/api/app/delete: no key fits it any more, and its name stays taken."""

    for_admins = True
    params = wire.AppRefParams

    @transaction.atomic
    def handle(self, call: Call, params: wire.AppRef) -> places.AppName:
        app_services.close_app(app_services.locked_app(params.name), **_words(call))
        return {"appName": params.name}


class RotateKeyView(Mutation):
    """/api/app/rotateKey: a second key beside the first, or the first one dropped (W-12)."""

    for_admins = seals_answer = True
    params = wire.RotateKeyParams

    @transaction.atomic
    def handle(self, call: Call, params: wire.KeyTurn) -> places.TurnedKey:
        app = app_services.locked_app(params.name)
        if params.drops_old:
            app_services.drop_old_key(app, **_words(call))
            return places.turned(app, None)
        return places.turned(app, app_services.rotate_key(app, **_words(call)))


class AppListView(Endpoint):
    """/api/app/list: the apps that are not deleted."""

    for_admins = True
    params = wire.AppListParams

    def handle(self, call: Call, params: wire.Listing) -> places.AppPage:
        rows = App.objects.filter(name__icontains=params.name, closed_at__isnull=True)
        rows = rows.exclude(name=operators.NAME).prefetch_related("allowed_groups")
        return places.app_page(selectors.page_of(rows, limit=params.limit, cursor=params.cursor))


# -- worker groups and workers ---------------------------------------------------------------------


class SwitchWorkerGroupView(Mutation):
    """/api/workerGroup/status/set: let a group's tasks start, or hold them (D-81)."""

    for_admins = True
    params = wire.SwitchWorkerGroupParams

    def handle(self, call: Call, params: wire.GroupSwitch) -> places.WorkerGroupData:
        place_services.set_group_enabled(params.place_id, params.is_enabled, **_words(call))
        row = WorkerGroup.objects.get(pk=params.place_id)
        return places.group(row, workers.live_slots(call.now))


class WorkerGroupListView(Endpoint):
    """/api/workerGroup/list: every group, and how many live slots serve it."""

    for_admins = True
    params = wire.WorkerGroupListParams

    def handle(self, call: Call, params: wire.Listing) -> places.WorkerGroupPage:
        rows = WorkerGroup.objects.filter(name__icontains=params.name)
        page = selectors.page_of(rows, limit=params.limit, cursor=params.cursor)
        return places.group_page(page, workers.live_slots(call.now))


class WorkerListView(Endpoint):
    """/api/worker/list: who is alive, and what runs where."""

    for_admins = True
    params = wire.WorkerListParams

    def handle(self, call: Call, params: wire.WorkerListing) -> places.WorkerPage:
        live_ids = set(workers.live(call.now).values_list("pk", flat=True))
        rows = Worker.objects.filter(name__icontains=params.name).prefetch_related("groups")
        if params.group_id is not None:
            rows = rows.filter(groups=params.group_id)
        if params.is_live is not None:
            is_live = workers.live(call.now).values("pk")
            rows = rows.filter(pk__in=is_live) if params.is_live else rows.exclude(pk__in=is_live)
        page = selectors.page_of(rows, limit=params.limit, cursor=params.cursor)
        running = workers.running_on([row.name for row in page.rows])
        return places.worker_page(page, live_ids, running)


# -- what worker groups and labels have in common --------------------------------------------------


class _AddPlaceView(Mutation):
    for_admins = True
    model: ClassVar[type[Any]]

    def handle(self, call: Call, params: wire.NewPlace) -> object:
        return places.place(place_services.add_place(self.model, params.name, **_words(call)))


class _EditPlaceView(Mutation):
    for_admins = True
    model: ClassVar[type[Any]]

    def handle(self, call: Call, params: wire.PlaceEdit) -> object:
        return places.place(
            place_services.rename_place(self.model, params.place_id, params.name, **_words(call))
        )


class _DeleteLabelView(Mutation):
    for_admins = True
    model: ClassVar[type[Any]]

    def handle(self, call: Call, params: wire.PlaceRef) -> object:
        return places.place(
            place_services.delete_label(self.model, params.place_id, **_words(call))
        )


class _LabelListView(Endpoint):
    for_admins = True
    model: ClassVar[type[Any]]

    def handle(self, call: Call, params: wire.Listing) -> object:
        rows = self.model.objects.filter(name__icontains=params.name)
        page = selectors.page_of(rows, limit=params.limit, cursor=params.cursor)
        return places.label_page(self.model, page)


class AddWorkerGroupView(_AddPlaceView):
    """/api/workerGroup/add: a group, which names a queue of its own."""

    model, params, answers = WorkerGroup, wire.AddWorkerGroupParams, places.WorkerGroupRef


class EditWorkerGroupView(_EditPlaceView):
    """/api/workerGroup/edit: another name; the queue stays, it is named by the id."""

    model, params, answers = WorkerGroup, wire.EditWorkerGroupParams, places.WorkerGroupRef


class AddDepartmentView(_AddPlaceView):
    """/api/department/add: a label, which names a department."""

    model, params, answers = Department, wire.AddDepartmentParams, places.DepartmentRef


class EditDepartmentView(_EditPlaceView):
    """/api/department/edit: another name, which the jobs that carry it follow."""

    model, params, answers = Department, wire.EditDepartmentParams, places.DepartmentRef


class DeleteDepartmentView(_DeleteLabelView):
    """/api/department/delete: take a label away that no job carries."""

    model, params, answers = Department, wire.DepartmentRefParams, places.DepartmentRef


class DepartmentListView(_LabelListView):
    """/api/department/list: every department, newest first."""

    model, params, answers = Department, wire.DepartmentListParams, places.DepartmentPage


class AddBizGroupView(_AddPlaceView):
    """/api/bizGroup/add: a label, which names a business group."""

    model, params, answers = BizGroup, wire.AddBizGroupParams, places.BizGroupRef


class EditBizGroupView(_EditPlaceView):
    """/api/bizGroup/edit: another name."""

    model, params, answers = BizGroup, wire.EditBizGroupParams, places.BizGroupRef


class DeleteBizGroupView(_DeleteLabelView):
    """/api/bizGroup/delete: take a label away that no job carries."""

    model, params, answers = BizGroup, wire.BizGroupRefParams, places.BizGroupRef


class BizGroupListView(_LabelListView):
    """/api/bizGroup/list: every business group, newest first."""

    model, params, answers = BizGroup, wire.BizGroupListParams, places.BizGroupPage
