"""The admin site of scripts, artifacts, connections and secrets, and of what jobs really run."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from jobs import keys
from jobs.models import App, AuditEntry, Credential, Job, Script
from jobs.rules.enums import ContentType
from jobs.script_services import add_script
from tasks_app.models import Worker
from tests.builders import NOW, make_app, make_attempt, make_job
from tests.flow.admin_desk import staff, superuser
from tests.flow.runs import make_artifact

SCRIPTS, SECRETS = "/admin/jobs/script", "/admin/jobs/credential"


@pytest.fixture
def desk(db: None) -> Client:
    return superuser()


def problems(response: Any) -> str:
    assert response.status_code == 200
    form = response.context["adminform"].form
    return str(form.errors) + str(form.non_field_errors())


def test_every_save_of_a_script_is_another_version(desk: Client) -> None:
    app = make_app()
    desk.post(f"{SCRIPTS}/add/", {"app": app.pk, "name": "load", "text": "echo 1\r\necho é"})
    script = Script.objects.get()

    desk.post(f"{SCRIPTS}/{script.pk}/change/", {"name": "load all", "text": "echo 2"})
    page = desk.get(f"{SCRIPTS}/{script.pk}/change/").content.decode()

    script.refresh_from_db()
    texts = list(script.versions.order_by("number").values_list("text", "user"))
    assert (script.app, script.name) == (app, "load all")
    assert texts == [("echo 1\necho é", "olga"), ("echo 2", "olga")]
    assert "echo 2" in page
    assert AuditEntry.objects.filter(object_type="script").count() == 2


def test_a_malformed_placeholder_is_told_at_the_text(desk: Client) -> None:
    answer = desk.post(f"{SCRIPTS}/add/", {"app": "", "name": "load", "text": "$YTD(a,b)"})

    assert "line 1, column 1" in problems(answer)
    assert not Script.objects.exists()


def credential(**changes: Any) -> dict[str, Any]:
    plain = {"name": "db", "kind": "CONNECTION", "worker_group": "", "value": "", "apps": []}
    return plain | changes


def test_a_secret_is_sealed_never_shown_and_stays_where_nothing_is_typed(desk: Client) -> None:
    url = "postgres://ann:hidden-word@db/x"
    desk.post(f"{SECRETS}/add/", credential(value=url))
    row = Credential.objects.get()
    app = make_app()

    page = desk.get(f"{SECRETS}/{row.pk}/change/").content.decode()
    desk.post(f"{SECRETS}/{row.pk}/change/", {"value": "", "apps": [app.pk]})
    row.refresh_from_db()

    assert keys.unseal(row.sealed) == url
    assert list(row.apps.all()) == [app]
    assert "hidden-word" not in page + str(list(AuditEntry.objects.values()))
    assert "hidden-word" not in row.sealed


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"name": "a b", "value": "x://yz"}, "name: it must be 1 to 64"),
        ({"value": "no address"}, "value: a connection is an address"),
        ({"value": "postgres://ann:half/a-word@db/wh"}, "value: a connection is an address"),
        ({"kind": "SECRET", "value": "abc"}, "value: it must be text of 4 to"),
        ({"value": ""}, "value: it is missing"),
    ],
)
def test_a_secret_that_cannot_be_one_is_refused(
    changes: dict[str, Any], what: str, desk: Client
) -> None:
    assert what in problems(desk.post(f"{SECRETS}/add/", credential(**changes)))
    assert not Credential.objects.exists()


def test_whoever_may_only_add_changes_no_secret_that_is_there(desk: Client) -> None:
    """D-85: adding one of the same name would open it to every app."""
    app = make_app()
    desk.post(f"{SECRETS}/add/", credential(value="postgres://h/x", apps=[app.pk]))

    refused = staff("add_credential").post(f"{SECRETS}/add/", credential(value="postgres://h/y"))

    assert "name: there is a db in this group already" in problems(refused)
    row = Credential.objects.get()
    assert (keys.unseal(row.sealed), list(row.apps.all())) == ("postgres://h/x", [app])


def test_a_secret_can_be_forgotten(desk: Client) -> None:
    desk.post(f"{SECRETS}/add/", credential(value="postgres://h/x"))
    row = Credential.objects.get()

    desk.post(f"{SECRETS}/", {"action": "forget", "_selected_action": [row.pk]})

    assert not Credential.objects.exists()
    assert AuditEntry.objects.filter(action="credential.delete").count() == 1


def test_who_may_not_sees_and_changes_nothing(db: None) -> None:
    desk = staff("view_job")

    for page in (SCRIPTS, SECRETS, "/admin/jobs/artifact"):
        assert desk.get(f"{page}/").status_code == 403
        assert desk.post(f"{page}/add/", credential(value="x://yz")).status_code == 403


def test_artifacts_are_looked_at(desk: Client) -> None:
    artifact = make_artifact(b"bytes")

    page = desk.get("/admin/jobs/artifact/").content.decode()

    assert artifact.sha256 in page
    assert desk.get("/admin/jobs/artifact/add/").status_code == 403


def test_the_types_of_an_app_are_part_of_its_page(desk: Client) -> None:
    app = make_app()
    page = f"/admin/jobs/app/{app.pk}/change/"
    form = {"owner": "", "token_forms": "both", "max_concurrency": 0, "max_priority": 10}

    refused = [
        problems(desk.post(page, form | {"allowed_types": text}))
        for text in ('{"cobol": []}', '{"shell": [99]}', '["shell"]', '{"shell": "x"}')
    ]
    desk.post(page, form | {"allowed_types": '{"shell": [1]}'})

    assert "there is no cobol" in refused[0]
    assert "there is no worker group 99" in refused[1]
    assert "must be an object" in refused[2]
    assert "a list of worker group ids for shell" in refused[3]
    assert App.objects.get(pk=app.pk).allowed_types == {"shell": [1]}


def asked(desk: Client, **changes: Any) -> dict[str, Any]:
    plain = {"app": "", "id": "0", "job_type": "shell", "content_type": 1, "extra": "{}"}
    answer = desk.post("/admin/jobs/job/rendered/", plain | changes)
    found: dict[str, Any] = answer.json()
    return found


def test_the_editor_shows_content_filled_in_while_it_is_typed(desk: Client) -> None:
    job = make_job(job_type="shell")
    words = {"id": job.pk, "extra": '{"day": "a b"}', "time_zone": "Asia/Shanghai"}

    good = asked(desk, content="echo ${day} ${jobId}", **words)
    bad = asked(desk, content="echo $YTD(a,b)", **words)
    early = asked(desk, content="x", **words | {"extra": "{"})

    assert good == {"valid": True, "content": f"echo 'a b' {job.pk}", "params": {"day": "a b"}}
    assert (bad["valid"], "line 1, column 6" in bad["msg"]) == (False, True)
    assert not early["valid"]
    assert "choose the app" in asked(desk, content="x")["msg"]
    assert desk.get("/admin/jobs/job/rendered/").json()["valid"] is False
    assert Job.objects.get().content == job.content


@pytest.mark.parametrize("words", [{"extra": "[" * 100_000}, {"time_zone": "America"}])
def test_what_the_editor_cannot_read_is_told(desk: Client, words: dict[str, str]) -> None:
    assert asked(desk, id=make_job().pk, content="x", **words)["valid"] is False


def test_a_script_is_shown_to_those_alone_who_may_see_scripts(desk: Client) -> None:
    job = make_job(job_type="shell")
    script = add_script("s", "echo top-secret", owner=job.app, app=job.app, user="olga", now=NOW)
    words = {"id": job.pk, "content": script.script_id, "content_type": 2}

    seen, refused = asked(desk, **words), asked(staff("add_job"), **words)

    assert seen["content"] == "echo top-secret"
    assert refused == {"valid": False, "msg": "you may not see scripts"}


def test_content_is_rendered_for_nobody_who_may_not_edit(db: None) -> None:
    answer = staff("view_job").post("/admin/jobs/job/rendered/", {"content": "x"})

    assert answer.status_code == 403


def test_an_attempt_shows_what_it_really_ran(desk: Client) -> None:
    attempt = make_attempt(rendered={"content": "echo <20260101>", "extra": {"day": "é"}})
    plain = make_attempt()

    page, other = (
        desk.get(f"/admin/tasks_app/attempt/{row.pk}/change/").content.decode()
        for row in (attempt, plain)
    )

    assert "echo &lt;20260101&gt;" in page
    assert "é" in page
    assert "content as it ran" in page.lower()
    assert "content as it ran" not in other.lower()


def test_a_worker_shows_what_it_can_run_and_why_not_the_rest(desk: Client) -> None:
    worker = Worker.objects.create(
        name="w9",
        host="h",
        pid=1,
        pool="solo",
        slots=1,
        started_at=NOW,
        beat_at=NOW,
        job_types={"shell": "", "java": "there is no Java at java"},
    )

    page = desk.get(f"/admin/tasks_app/worker/{worker.pk}/change/").content.decode()

    assert "there is no Java at java" in page


def test_content_type_3_is_offered(desk: Client) -> None:
    page = desk.get("/admin/jobs/job/add/").content.decode()

    assert f'value="{int(ContentType.JAR)}"' in page
