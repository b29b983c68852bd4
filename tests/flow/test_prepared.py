"""Queries that are compiled once and kept by the server: they answer as the ORM does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, connections, transaction
from django.db.models import F, Q, QuerySet
from django.forms import model_to_dict
from django.test.utils import CaptureQueriesContext
from pytest_django.plugin import DjangoDbBlocker

from jobs.models import WorkerGroup
from sentinel_project import prepared, statements
from sentinel_project.statements import OPEN, Statement
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import AttemptStatus
from tests.builders import NOW, make_app, make_job, make_task
from tests.engine import private_database
from tests.flow.races import a_name


@prepared.select
def groups_of(names: list[str]) -> QuerySet[WorkerGroup, str]:
    rows = WorkerGroup.objects.filter(name__in=names, is_enabled=True).exclude(name="100% 'odd'")
    return rows.order_by("id").values_list("name", flat=True)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    if request.param == "sqlite":
        with django_db_blocker.unblock(), private_database():
            yield request.param
        return
    request.getfixturevalue("postgres")
    yield request.param
    WorkerGroup.objects.exclude(pk=1).delete()


def make_groups(count: int) -> list[WorkerGroup]:
    groups = [WorkerGroup(name=a_name()) for _ in range(count)]
    prepared.insert(*groups)
    return groups


@pytest.mark.parametrize("count", [1, 3])
def test_rows_that_are_inserted_together_get_their_own_ids(engine: str, count: int) -> None:
    groups = make_groups(count)

    found = WorkerGroup.objects.in_bulk([group.pk for group in groups])
    assert [found[group.pk].name for group in groups] == [group.name for group in groups]
    assert {group._state.adding for group in groups} == {False}


def test_a_row_is_stored_as_the_orm_stores_it(engine: str) -> None:
    task = make_task(job=make_job(app=make_app(name=a_name())))
    words: dict[str, Any] = {
        "task": task,
        "status": AttemptStatus.LOST,
        "worker": "100% 'odd'",
        "claimed_at": NOW,
        "lease_until": NOW.astimezone(ZoneInfo("Asia/Shanghai")),
        "exit_code": signal.SIGKILL,
        "content": "ü",
        "extra": {"day": ["é", None, 1.5]},
    }

    prepared.insert(Attempt(number=1, fence=2**40, **words))
    Attempt.objects.create(number=2, fence=2**40, **words)

    ours, orms = Attempt.objects.filter(task=task).order_by("number").values()
    assert {**ours, "id": 0, "number": 0} == {**orms, "id": 0, "number": 0}
    assert ours["exit_code"] == 9
    assert ours["lease_until"] == NOW


def test_a_row_that_a_constraint_has_already_is_not_inserted(engine: str) -> None:
    (group,) = make_groups(1)

    with transaction.atomic():
        again, other = WorkerGroup(name=group.name), WorkerGroup(name=a_name())
        assert [prepared.insert_if_new(row) for row in (again, other)] == [False, True]

    assert again.pk is None
    assert groups_of([group.name, other.name]) == [group.name, other.name]


@prepared.select_held
def group_of(group_id: int) -> QuerySet[WorkerGroup, str]:
    return WorkerGroup.objects.filter(pk=group_id).values_list("name", flat=True)


def test_a_held_row_is_answered_as_any_other(engine: str) -> None:
    (group,) = make_groups(1)

    with transaction.atomic():
        assert group_of(group.pk) == [group.name]


def test_a_fixed_value_with_quotes_and_percents_is_only_a_value(engine: str) -> None:
    odd, plain = WorkerGroup(name="100% 'odd'"), WorkerGroup(name=a_name())
    prepared.insert(odd, plain)

    assert groups_of([odd.name, plain.name]) == [plain.name]


def test_values_change_from_call_to_call(engine: str) -> None:
    one, other = make_groups(2)

    assert groups_of([one.name]) == [one.name]
    assert groups_of([other.name]) == [other.name]
    assert prepared.write(WorkerGroup, {"pk": one.pk}, {"is_enabled": False}) == 1
    assert groups_of([one.name, other.name]) == [other.name]


@prepared.select
def with_job(task_id: int) -> QuerySet[Task]:
    rows = Task.objects.filter(pk=task_id).select_related("job__app")
    return rows.annotate(is_late=Q(due_at__lt=F("opened_at")))


def test_objects_come_with_what_is_joined_and_annotated(engine: str) -> None:
    made = make_task(job=make_job(app=make_app(name=a_name()), extra={"day": "é"}))

    (found,) = with_job(made.pk)

    stored = Task.objects.select_related("job__app").get(pk=made.pk)
    with CaptureQueriesContext(connection) as asked:
        assert model_to_dict(found) == model_to_dict(stored)
        assert model_to_dict(found.job) == model_to_dict(stored.job)
        assert found.job.app == stored.job.app
        assert vars(found)["is_late"] == (stored.due_at < stored.opened_at)
    assert asked.captured_queries == []


def test_what_cannot_be_yielded_is_refused_as_it_is_compiled(engine: str) -> None:
    @prepared.select
    def as_dicts(name: str) -> QuerySet[WorkerGroup, Any]:
        return WorkerGroup.objects.filter(name=name).values("name")

    with pytest.raises(TypeError, match="ValuesIterable"):
        as_dicts("a")


def end_session_of(connection: Any) -> None:
    """Have the server end the session, as a restart does; the client does not know it yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()


@pytest.mark.postgres
@pytest.mark.usefixtures("postgres")
class TestOnPostgres:
    """Statements that a session keeps."""

    @pytest.fixture(autouse=True)
    def always_in_demand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(statements, "_HOT", float("inf"))
        connection.close()

    @staticmethod
    def kept() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_prepared_statements")
            return int(cursor.fetchone()[0])

    def test_a_session_keeps_a_statement_once(self) -> None:
        for _ in range(3):
            groups_of(["a"])

        assert self.kept() == 1

    def test_another_session_is_given_the_statement_again(self) -> None:
        groups_of(["a"])
        groups_of(["a"])
        connection.close()
        name = WorkerGroup.objects.get(pk=1).name

        assert groups_of([name]) == groups_of([name]) == [name]
        assert self.kept() == 1

    def test_a_request_that_finds_its_session_dead_is_given_another(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the dead session kept, the new one does not have."""
        name = WorkerGroup.objects.get(pk=1).name
        groups_of([name])
        groups_of([name])
        end_session_of(connection)
        monkeypatch.setattr(connections["default"], "health_check_enabled", True)
        monkeypatch.setattr(connections["default"], "health_check_done", False)

        assert groups_of([name]) == [name]

    def test_a_statement_that_comes_once_in_a_while_is_planned_each_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(statements, "_HOT", 0.0)
        name = WorkerGroup.objects.get(pk=1).name

        assert groups_of([name]) == groups_of([name]) == [name]
        assert self.kept() == 0

    def test_a_plan_is_not_believed_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def prepared_at() -> object:
            with connection.cursor() as cursor:
                cursor.execute("SELECT prepare_time FROM pg_prepared_statements")
                return cursor.fetchone()

        groups_of(["a"])
        groups_of(["a"])
        before = prepared_at()
        monkeypatch.setattr(statements, "_PLAN_LASTS", 0.0)
        groups_of(["a"])

        assert before is not None
        assert prepared_at() not in {before, None}

    def test_behind_a_pooler_nothing_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
        name = WorkerGroup.objects.get(pk=1).name

        assert groups_of([name]) == groups_of([name]) == [name]
        assert self.kept() == 0

    def test_a_statement_outlives_the_transaction_that_failed_after_it(self) -> None:
        statement = Statement("SELECT %s::int, %s::int", [1, OPEN])
        answers: list[Any] = []
        for _ in range(3):
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute(statement.text_on(connection), [2])
                answers.append(cursor.fetchone())
                cursor.execute("ROLLBACK")

        assert answers == [(1, 2)] * 3
