"""The admin pages of apps and worker groups: keys shown once, all of it on record (D-80, W-12)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from jobs import keys, operators
from jobs.models import App, AuditEntry, WorkerGroup
from jobs.rules.enums import AppKind
from sentinel_project.errors import Refused
from tests.builders import KEY, NOW, make_app
from tests.caller import Caller
from tests.flow.admin_desk import staff, superuser

pytestmark = pytest.mark.django_db

LIMITS = {"owner": "", "token_forms": "both", "max_concurrency": 0, "max_priority": 10}
NEW_APP = {"name": "billing", "kind": "NORMAL"} | LIMITS


@pytest.fixture
def desk() -> Client:
    """A browser with somebody logged in who may do everything."""
    return superuser()


def page_of(app: App) -> str:
    return f"/admin/jobs/app/{app.pk}/change/"


def act(client: Client, app: App, verb: str, **data: str) -> Any:
    return client.post(f"/admin/jobs/app/{app.pk}/act/", {"verb": verb, **data})


def rotation(client: Client, app: App) -> str:
    return str(client.get(page_of(app)).context["rotation"])


def everything_shown(client: Client, app: App) -> str:
    addresses = ("/admin/", "/admin/jobs/app/", page_of(app), "/admin/jobs/auditentry/")
    entries = AuditEntry.objects.values_list("pk", flat=True)
    pages = [*addresses, *(f"/admin/jobs/auditentry/{pk}/change/" for pk in entries)]
    return "".join(client.get(page).content.decode() for page in pages)


def test_a_key_is_shown_in_the_answer_to_the_registration_and_never_again(desk: Client) -> None:
    reply = desk.post("/admin/jobs/app/add/", NEW_APP)

    found = re.search(r'id="sn-key">([0-9a-f]{32})<', reply.content.decode())
    assert found is not None
    app = App.objects.get(name="billing")
    assert keys.unseal(app.sealed_key) == found[1]
    assert "no-store" in reply["Cache-Control"]
    assert "messages" not in reply.cookies
    shown = everything_shown(desk, app)
    assert found[1] not in shown
    assert app.sealed_key not in shown
    assert AuditEntry.objects.get(action="app.register").user == "olga"


def test_sending_the_registration_again_is_refused_and_keeps_the_key(desk: Client) -> None:
    desk.post("/admin/jobs/app/add/", NEW_APP)
    sealed = App.objects.get(name="billing").sealed_key

    reply = desk.post("/admin/jobs/app/add/", NEW_APP)

    assert "sn-key" not in reply.content.decode()
    assert reply.context["adminform"].form.errors
    assert App.objects.get(name="billing").sealed_key == sealed


@pytest.mark.parametrize(
    "name", ["", "x" * 65, "a\u200bb", pytest.param("operator", id="reserved")]
)
def test_names_that_the_service_or_we_do_not_take_register_nothing(desk: Client, name: str) -> None:
    reply = desk.post("/admin/jobs/app/add/", NEW_APP | {"name": name})

    assert reply.context["adminform"].form.errors
    assert not App.objects.exclude(sealed_key="").exists()


def test_a_rotated_key_is_shown_once_and_both_are_good_until_the_old_one_is_dropped(
    desk: Client,
) -> None:
    app = make_app(name="billing")

    reply = act(desk, app, "rotate", rotation=rotation(desk, app))

    found = re.search(r'id="sn-key">([0-9a-f]{32})<', reply.content.decode())
    assert found is not None
    app.refresh_from_db()
    assert (keys.unseal(app.sealed_key), keys.unseal(app.sealed_old_key)) == (found[1], KEY)
    assert found[1] not in everything_shown(desk, app)
    act(desk, app, "drop_old_key")
    app.refresh_from_db()
    assert app.sealed_old_key == ""


def test_the_same_rotation_sent_twice_does_not_end_the_key_in_use(desk: Client) -> None:
    app = make_app()
    token = rotation(desk, app)

    act(desk, app, "rotate", rotation=token)
    again = act(desk, app, "rotate", rotation=token)

    assert again.status_code == 302
    app.refresh_from_db()
    assert keys.unseal(app.sealed_old_key) == KEY


def test_a_disabled_app_cannot_call_until_it_is_enabled(desk: Client, caller: Caller) -> None:
    app = App.objects.get(name="mine")

    act(desk, app, "disable")
    refused = caller.post("/api/job/query", jobId=1)
    act(desk, app, "enable")
    answered = caller.post("/api/job/query", jobId=1)

    assert "appToken" in refused.msg
    assert answered.msg == "no job 1"
    assert AuditEntry.objects.filter(action="app.set_enabled", user="olga").count() == 2


def test_limits_are_edited_and_audited(desk: Client) -> None:
    app = make_app()
    group = WorkerGroup.objects.create(name="fast")
    limits = {"owner": "bi", "token_forms": "v2", "max_concurrency": 5, "max_priority": 4}

    reply = desk.post(page_of(app), limits | {"allowed_groups": [group.pk]})

    assert reply.status_code == 302
    app.refresh_from_db()
    assert {name: getattr(app, name) for name in limits} == limits
    assert list(app.allowed_groups.all()) == [group]
    entry = AuditEntry.objects.get(action="app.edit")
    assert entry.before == {
        **LIMITS,
        "allowed_groups": [],
    }


def test_a_ceiling_above_ten_is_refused_at_its_field(desk: Client) -> None:
    app = make_app()

    reply = desk.post(page_of(app), LIMITS | {"max_priority": 11})

    assert "max_priority" in reply.context["adminform"].form.errors
    assert App.objects.get(pk=app.pk).max_priority == 10


def test_name_and_kind_stay_as_registered(desk: Client) -> None:
    app = make_app(name="billing")

    desk.post(page_of(app), {"name": "root", "kind": "ADMIN", **LIMITS, "owner": "bi"})

    app.refresh_from_db()
    assert (app.name, app.kind, app.owner) == ("billing", "NORMAL", "bi")


def test_whoever_may_only_look_changes_no_app() -> None:
    app = make_app()
    viewer = staff("view_app")

    assert viewer.get(page_of(app)).status_code == 200
    assert viewer.get("/admin/jobs/app/add/").status_code == 403
    for verb in ("rotate", "drop_old_key", "disable"):
        assert act(viewer, app, verb).status_code == 403
    assert App.objects.get(pk=app.pk).sealed_key == app.sealed_key


# -- the operators' own app ------------------------------------------------------------------------


def test_nobody_can_call_as_the_operators() -> None:
    ours = operators.operator()

    for key in ("", KEY, ours.sealed_key):
        reply = Caller(ours, key=key).post("/api/job/query", jobId=1)
        assert "appToken" in reply.msg


def test_the_operators_app_gets_no_key_and_is_not_enabled(desk: Client) -> None:
    ours = operators.operator()

    act(desk, ours, "rotate", rotation=rotation(desk, ours))
    act(desk, ours, "enable")
    data = {"action": "enable", "index": "0", "_selected_action": [ours.pk]}
    desk.post("/admin/jobs/app/", data)

    ours.refresh_from_db()
    assert (ours.sealed_key, ours.is_enabled) == ("", False)
    assert desk.post(page_of(ours), {"max_priority": 1}).status_code == 403


def test_a_registered_app_of_that_name_is_acted_as_by_nobody() -> None:
    make_app(name=operators.NAME, kind=AppKind.ADMIN.value)

    with pytest.raises(Refused, match="reserved"):
        operators.operator()


# -- worker groups ---------------------------------------------------------------------------------

GROUPS = "/admin/jobs/workergroup/"


def test_a_group_is_added_renamed_and_disabled_on_record(desk: Client) -> None:
    assert desk.post(f"{GROUPS}add/", {"name": "fast"}).status_code == 302
    group = WorkerGroup.objects.get(name="fast")
    assert group.is_enabled
    desk.post(f"{GROUPS}{group.pk}/change/", {"name": "faster"})
    desk.post(GROUPS, {"action": "enable", "index": "0", "_selected_action": [group.pk]})

    group.refresh_from_db()
    assert (group.name, group.is_enabled) == ("faster", True)
    entries = AuditEntry.objects.order_by("pk").values_list("action", "after")
    assert list(entries) == [
        ("worker_group.add", {"name": "fast"}),
        ("worker_group.edit", {"name": "faster"}),
        ("worker_group.set_enabled", {"is_enabled": False}),
        ("worker_group.set_enabled", {"is_enabled": True}),
    ]


def test_a_group_is_not_deleted(desk: Client) -> None:
    assert desk.post(f"{GROUPS}1/delete/", {"post": "yes"}).status_code == 403
    assert WorkerGroup.objects.get(pk=1).name == "default"


@pytest.mark.parametrize("room", ["department", "bizgroup"])
def test_a_label_gets_a_name_on_record(desk: Client, room: str) -> None:
    desk.post(f"/admin/jobs/{room}/add/", {"name": "risk"})

    entry = AuditEntry.objects.get()
    assert (entry.object_type, entry.after, entry.user) == (room, {"name": "risk"}, "olga")
    assert (
        desk.post(f"/admin/jobs/{room}/{entry.object_id}/change/", {"name": "x"}).status_code == 302
    )


def test_a_deleted_app_is_shown_and_nothing_more_is_done_to_it(desk: Client) -> None:
    app = make_app(closed_at=NOW, is_enabled=False, sealed_key="")

    assert desk.get(page_of(app)).status_code == 200
    act(desk, app, "rotate", rotation=rotation(desk, app))
    act(desk, app, "enable")
    data = {"action": "enable", "index": "0", "_selected_action": [app.pk]}
    desk.post("/admin/jobs/app/", data)

    app.refresh_from_db()
    assert (app.sealed_key, app.is_enabled) == ("", False)
    assert desk.post(page_of(app), LIMITS).status_code == 403
