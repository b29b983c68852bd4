"""The admin pages of tasks: verbs by the services, the gates of explain, output (D-70, W-20)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.db.models import Model
from django.test import Client

from jobs.models import AuditEntry
from logs_app.models import StreamKind
from tasks_app.models import SystemState, Task
from tasks_app.rules.states import TaskStatus
from tests import engine
from tests.builders import NOW, make_job, make_output, make_task
from tests.flow.admin_desk import staff, superuser

pytestmark = pytest.mark.django_db

TASKS = "/admin/tasks_app/task/"


@pytest.fixture
def desk() -> Client:
    """A browser with somebody logged in who may do everything."""
    return superuser()


def act(client: Client, task: Task, verb: str, **data: str) -> Any:
    return client.post(f"{TASKS}{task.pk}/act/", {"verb": verb, **data}, follow=True)


def act_on(client: Client, tasks: list[Task], verb: str, **data: str) -> Any:
    chosen = {"action": verb, "index": "0", "_selected_action": [task.pk for task in tasks]}
    return client.post(TASKS, chosen | data, follow=True)


def told(reply: Any) -> list[str]:
    return [str(message) for message in reply.context["messages"]]


def status_of(task: Task) -> TaskStatus:
    task.refresh_from_db()
    return TaskStatus(task.status)


# -- verbs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("kill", TaskStatus.WAITING, TaskStatus.KILLED),
        ("retry", TaskStatus.FAILED, TaskStatus.READY),
        ("remove", TaskStatus.FAILED, TaskStatus.REMOVED),
    ],
)
def test_a_verb_is_done_in_the_name_of_whoever_is_logged_in(
    desk: Client, verb: str, before: TaskStatus, after: TaskStatus
) -> None:
    task = make_task(before)

    act(desk, task, verb)

    assert status_of(task) == after
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.user, entry.object_id) == (f"task.{verb}", "olga", task.pk)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("verb", ["kill", "retry", "remove", "force_success"])
@pytest.mark.parametrize("is_selection", [True, False])
def test_a_verb_that_cannot_be_audited_is_not_done(
    desk: Client, verb: str, is_selection: bool
) -> None:
    """D-85: outside a request of the API too, a verb and its entry are one transaction."""
    task = make_task(TaskStatus.READY if verb == "kill" else TaskStatus.FAILED)
    before = status_of(task)
    do = partial(act_on, desk, [task]) if is_selection else partial(act, desk, task)

    with without(AuditEntry), pytest.raises(DatabaseError):
        do(verb, reason="so it is")

    assert (status_of(task), AuditEntry.objects.count()) == (before, 0)


@contextmanager
def without(model: type[Model]) -> Iterator[None]:
    """Have the database refuse whatever is asked of a table."""
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO set_aside")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE set_aside RENAME TO {table}")


def test_a_selection_is_answered_task_by_task(desk: Client) -> None:
    broken, done = make_task(TaskStatus.FAILED), make_task(TaskStatus.SUCCESS)

    reply = act_on(desk, [broken, done], "retry")

    assert told(reply) == [
        f"retry: task {broken.pk} is READY",
        f"task {done.pk} is SUCCESS: only FAILED and KILLED tasks can be retried",
    ]


def test_a_long_selection_is_answered_in_short(desk: Client) -> None:
    tasks = [make_task(TaskStatus.FAILED) for _ in range(25)]

    reply = act_on(desk, tasks, "retry")

    assert len(told(reply)) == 21
    assert told(reply)[-1] == "… and 5 more: 5 done, 0 refused."


def test_forcing_needs_a_reason_and_keeps_it(desk: Client) -> None:
    task = make_task(TaskStatus.FAILED)

    assert told(act(desk, task, "force_success", reason=" ")) == ["say why the status is forced"]
    assert status_of(task) == TaskStatus.FAILED
    act(desk, task, "force_success", reason="checked by hand")

    assert status_of(task) == TaskStatus.SUCCESS
    assert task.reason_text == "forced to SUCCESS by olga: checked by hand"


def test_a_selection_is_forced_once_the_reason_is_given(desk: Client) -> None:
    tasks = [make_task(TaskStatus.WAITING), make_task(TaskStatus.REMOVED)]

    asked = act_on(desk, tasks, "force_failed")
    assert list(asked.context["tasks"]) == tasks
    assert status_of(tasks[0]) == TaskStatus.WAITING
    reply = act_on(desk, tasks, "force_failed", reason="no data")

    assert [status_of(task) for task in tasks] == [TaskStatus.FAILED, TaskStatus.REMOVED]
    assert told(reply)[0] == f"task {tasks[0].pk} was forced to FAILED"
    assert "cannot be forced" in told(reply)[1]


def test_only_verbs_that_the_status_allows_are_offered(desk: Client) -> None:
    def offered(status: TaskStatus) -> list[str]:
        reply = desk.get(f"{TASKS}{make_task(status).pk}/change/")
        verbs: list[str] = reply.context["verbs"]
        return verbs

    assert offered(TaskStatus.SUCCESS) == []
    assert offered(TaskStatus.FAILED) == ["retry", "remove", "force_success"]
    assert offered(TaskStatus.RUNNING) == ["kill", "remove", "force_success", "force_failed"]


# -- who may ---------------------------------------------------------------------------------------


def test_whoever_may_only_look_cannot_act() -> None:
    task = make_task(TaskStatus.FAILED)
    viewer = staff("view_task")

    page = viewer.get(f"{TASKS}{task.pk}/change/")
    assert (page.status_code, page.context["verbs"]) == (200, [])
    assert act(viewer, task, "retry").status_code == 403
    act_on(viewer, [task], "retry")

    assert status_of(task) == TaskStatus.FAILED


def test_whoever_may_change_tasks_can_act() -> None:
    task = make_task(TaskStatus.FAILED)

    act_on(staff("view_task", "change_task"), [task], "retry")

    assert status_of(task) == TaskStatus.READY


def test_a_task_is_no_form(desk: Client) -> None:
    task = make_task(TaskStatus.FAILED)

    desk.post(f"{TASKS}{task.pk}/change/", {"status": 4})

    assert desk.get(f"{TASKS}add/").status_code == 403
    assert desk.post(f"{TASKS}{task.pk}/delete/", {"post": "yes"}).status_code == 403
    assert status_of(task) == TaskStatus.FAILED


def test_a_forged_verb_is_refused(desk: Client) -> None:
    task = make_task(TaskStatus.FAILED)
    forged = Client(enforce_csrf_checks=True)
    forged.cookies = desk.cookies

    assert act(forged, task, "remove").status_code == 403
    assert desk.get(f"{TASKS}{task.pk}/act/?verb=remove").status_code == 405
    assert status_of(task) == TaskStatus.FAILED


# -- the page of a task ----------------------------------------------------------------------------


def test_the_gates_are_listed_in_order_with_what_blocks(desk: Client) -> None:
    task = make_task(TaskStatus.READY, job=make_job(name="<i>load</i>"))
    SystemState.objects.update(is_paused=True)

    reply = desk.get(f"{TASKS}{task.pk}/change/")

    gates = [(gate.name, gate.state) for gate in reply.context["gates"]]
    assert gates[0] == ("job status", "passed")
    at = gates.index(("system", "blocking"))
    assert {state for _, state in gates[:at]} == {"passed"}
    assert {state for _, state in gates[at + 1 :]} == {"not_reached"}
    body = reply.content.decode()
    assert "the whole system is paused" in body
    assert "<i>load</i>" not in body


def test_output_is_escaped_and_read_on_by_byte_offset(desk: Client) -> None:
    data = "<b>é</b>\n".encode() * 4000
    attempt = make_output(data, kind=StreamKind.RESULT, is_closed=True)

    first = desk.get(f"{TASKS}{attempt.task_id}/change/")
    piece = first.context["outputs"].pieces[0]
    assert (piece.size, piece.next_offset) == (len(data), len(piece.text.encode()))
    assert "<b>" not in first.content.decode()
    text, offset = piece.text, piece.next_offset
    while offset is not None:
        address = f"/admin/tasks_app/attempt/{attempt.pk}/output/?stream=RESULT&offset={offset}"
        piece = desk.get(address).context["piece"]
        text, offset = text + piece.text, piece.next_offset

    assert text.encode() == data
    assert piece.is_end


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("stream=RESULT&offset=99999", 200),
        ("stream=RESULT&offset=-1", 404),
        ("stream=RESULT&offset=x", 404),
        ("stream=NONE", 404),
    ],
)
def test_silly_offsets_are_answered(desk: Client, query: str, status: int) -> None:
    attempt = make_output(b"x", kind=StreamKind.RESULT, is_closed=True)

    reply = desk.get(f"/admin/tasks_app/attempt/{attempt.pk}/output/?{query}")

    assert reply.status_code == status


def test_output_is_for_those_who_may_view_attempts() -> None:
    attempt = make_output(b"secret", kind=StreamKind.RESULT, is_closed=True)
    viewer = staff("view_task")

    page = viewer.get(f"{TASKS}{attempt.task_id}/change/")

    assert "secret" not in page.content.decode()
    assert viewer.get(f"/admin/tasks_app/attempt/{attempt.pk}/output/").status_code == 403


def test_the_page_tells_how_a_task_stood_at_an_earlier_instant(desk: Client) -> None:
    task = make_task(due_at=NOW)
    later = NOW + timedelta(hours=2)
    engine.run(Task.objects.select_related("job__app").get(pk=task.pk), now=later)
    page = f"{TASKS}{task.pk}/change/"

    then = desk.get(page, {"at": "2026-03-04T02:00"}).content.decode()
    now = desk.get(page).content.decode()

    assert "How it stood at 2026-03-04 02:00:00 UTC" in then
    assert "it queued for a free slot" in then
    assert "blocking" not in now


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("noon", "it is no time"),
        ("2099-01-01T00:00", "it lies in the future"),
        ("2020-01-01T00:00", "was submitted later"),
    ],
)
def test_a_silly_instant_is_told_in_its_place(desk: Client, when: str, said: str) -> None:
    task = make_task()

    page = desk.get(f"{TASKS}{task.pk}/change/", {"at": when}).content.decode()

    assert said in page
    assert "Why it is where it is" in page


def test_the_history_shows_what_happened_with_its_author(desk: Client) -> None:
    task = make_task(TaskStatus.WAITING)
    desk.post(f"{TASKS}{task.pk}/act/", {"verb": "kill"})

    page = desk.get(f"{TASKS}{task.pk}/change/")

    told = [(fact.what.value, fact.user) for fact in page.context["history"]]
    assert told == [("opened", ""), ("kill", "olga"), ("ended", "")]
