"""Steps that hang on each other do the same on both engines, in one statement or in several."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DataError, connection, transaction

from sentinel_project.chained import Insert, Step, chained
from sentinel_project.prepared import Update
from tasks_app.models import Event, Task, TaskNote
from tests.builders import NOW, make_task

pytestmark = pytest.mark.django_db
on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="it is told apart on PostgreSQL only"
)


def renamed(task: Task, former: str, user: str) -> Update:
    return Update(Task, {"pk": task.pk, "execute_user": former}, {"execute_user": user})


def event_of(task: Task) -> Event:
    return Event(job_id=task.job_id, task_id=task.pk, created_at=NOW)


def user_of(task: Task) -> str:
    return Task.objects.get(pk=task.pk).execute_user


def test_all_steps_are_done_and_a_new_row_is_given_its_id() -> None:
    first, second, event = make_task(), make_task(), Event()
    event = event_of(first)

    done = chained(renamed(first, "", "ann"), Insert(event), renamed(second, "", "bob"))

    assert done == 3
    assert (user_of(first), user_of(second)) == ("ann", "bob")
    assert Event.objects.get(pk=event.pk).task_id == first.pk


@pytest.mark.parametrize("failing", [0, 1])
def test_nothing_is_done_after_a_step_that_changed_nothing(failing: int) -> None:
    first, second = make_task(), make_task()
    steps: list[Step] = [renamed(first, "", "ann"), renamed(second, "", "bob")]
    steps[failing] = renamed((first, second)[failing], "nobody", "eve")

    assert chained(*steps, Insert(event_of(first))) == failing

    assert user_of(first) == ("" if failing == 0 else "ann")
    assert user_of(second) == ""
    assert not Event.objects.exists()


def test_several_rows_go_in_together() -> None:
    task = make_task()
    notes = [TaskNote(task=task, at=NOW, fact=fact, text="it's 100 %") for fact in ("a", "b")]

    assert chained(renamed(task, "", "ann"), Insert(*notes)) == 2
    assert set(task.notes.values_list("fact", "text")) == {("a", "it's 100 %"), ("b", "it's 100 %")}


def test_steps_of_the_same_kind_take_other_values_each_time() -> None:
    tasks = [make_task() for _ in range(5)]

    for number, task in enumerate(tasks):
        later = NOW + timedelta(seconds=number)
        words = {"execute_user": f"user {number}", "ready_at": later if number else None}
        assert chained(Update(Task, {"pk": task.pk}, words), Insert(event_of(task))) == 2

    assert [user_of(task) for task in tasks] == [f"user {number}" for number in range(5)]
    assert set(Event.objects.values_list("task_id", flat=True)) == {task.pk for task in tasks}


@on_postgresql
def test_a_text_that_is_too_long_is_refused_and_not_cut() -> None:
    """SQLite takes any length."""
    task = make_task()
    note = TaskNote(task=task, at=NOW, fact="x" * 33)

    with pytest.raises(DataError), transaction.atomic():
        chained(renamed(task, "", "ann"), Insert(note))

    assert user_of(task) == ""


@on_postgresql
def test_it_costs_one_statement(django_assert_num_queries: object) -> None:
    task = make_task()

    with django_assert_num_queries(1):  # type: ignore[operator]
        chained(renamed(task, "", "ann"), Insert(event_of(task)))
