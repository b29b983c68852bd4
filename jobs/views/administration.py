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

# -- apps ------------------------------------------------------------------------------------------


class AddAppView(Mutation):
    """/api/app/add: register an app; the one answer that shows its key."""

    for_admins = seals_answer = True
    params = wire.AddAppParams

    def handle(self, call: Call, params: wire.NewApp) -> places.RegisteredApp:
        app, key = app_services.register_app(
            name=params.name, kind=params.kind, limits=params.limits, **call.asking
        )
        return places.registered(app, key)


class EditAppView(Mutation):
    """/api/app/edit: what an app may do, and whether it may call."""

    for_admins = True
    params = wire.EditAppParams

    @transaction.atomic
    def handle(self, call: Call, params: wire.AppEdit) -> places.AppData:
        app = app_services.locked_app(params.name)
        app_services.edit_app(app, params.changes, **call.asking)
        return places.app(app_services.locked_app(params.name))


class DeleteAppView(Mutation):
    """/api/app/delete: no key fits it any more, and its name stays taken."""

    for_admins = True
    params = wire.AppRefParams

    @transaction.atomic
    def handle(self, call: Call, params: wire.AppRef) -> places.AppName:
        app_services.close_app(app_services.locked_app(params.name), **call.asking)
        return {"appName": params.name}


class RotateKeyView(Mutation):
    """/api/app/rotateKey: a second key beside the first, or the first one dropped (W-12)."""

    for_admins = seals_answer = True
    params = wire.RotateKeyParams

    @transaction.atomic
    def handle(self, call: Call, params: wire.KeyTurn) -> places.TurnedKey:
        app = app_services.locked_app(params.name)
        if params.drops_old:
            app_services.drop_old_key(app, **call.asking)
            return places.turned(app, None)
        return places.turned(app, app_services.rotate_key(app, **call.asking))


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
        place_services.set_group_enabled(params.place_id, params.is_enabled, **call.asking)
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
        return places.place(place_services.add_place(self.model, params.name, **call.asking))


class _EditPlaceView(Mutation):
    for_admins = True
    model: ClassVar[type[Any]]

    def handle(self, call: Call, params: wire.PlaceEdit) -> object:
        return places.place(
            place_services.rename_place(self.model, params.place_id, params.name, **call.asking)
        )


class _DeleteLabelView(Mutation):
    for_admins = True
    model: ClassVar[type[Any]]

    def handle(self, call: Call, params: wire.PlaceRef) -> object:
        return places.place(place_services.delete_label(self.model, params.place_id, **call.asking))


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


_LABEL_VERBS = {
    "add": _AddPlaceView,
    "edit": _EditPlaceView,
    "delete": _DeleteLabelView,
    "list": _LabelListView,
}


def _label_views(
    model: type[Any],
    path: str,
    ref: type[Any],
    page: type[Any],
    **words: tuple[type[Any], str],
) -> dict[str, type[Endpoint]]:
    """Return the views of a kind of label by path; ``words``: each verb's params and summary."""
    found: dict[str, type[Endpoint]] = {}
    for verb, (params, said) in words.items():
        columns = {
            "__doc__": f"/api/{path}/{verb}: {said}",
            "__module__": __name__,
            "model": model,
            "params": params,
            "answers": page if verb == "list" else ref,
        }
        name = f"{verb.title()}{model.__name__}View"
        found[f"{path}/{verb}"] = type(name, (_LABEL_VERBS[verb],), columns)
    return found


LABEL_VIEWS = _label_views(
    Department,
    "department",
    places.DepartmentRef,
    places.DepartmentPage,
    add=(wire.AddDepartmentParams, "a label, which names a department."),
    edit=(wire.EditDepartmentParams, "another name, which the jobs that carry it follow."),
    delete=(wire.DepartmentRefParams, "take a label away that no job carries."),
    list=(wire.DepartmentListParams, "every department, newest first."),
) | _label_views(
    BizGroup,
    "bizGroup",
    places.BizGroupRef,
    places.BizGroupPage,
    add=(wire.AddBizGroupParams, "a label, which names a business group."),
    edit=(wire.EditBizGroupParams, "another name."),
    delete=(wire.BizGroupRefParams, "take a label away that no job carries."),
    list=(wire.BizGroupListParams, "every business group, newest first."),
)
