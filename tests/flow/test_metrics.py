"""GET /metrics: what it counts, what a scrape costs, and who may read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from jobs.models import WorkerGroup
from sentinel_project import clock, metrics
from tasks_app import schedulers, workers
from tasks_app.models import Delivery, Event
from tasks_app.rules.notices import Channel, DeliveryState
from tasks_app.rules.states import AttemptStatus, Finder, Reason, TaskStatus
from tasks_app.workers import Registration
from tests.builders import make_attempt, make_task

pytestmark = pytest.mark.django_db

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
LARGE = ("tasks_app_task", "tasks_app_attempt", "tasks_app_event", "tasks_app_delivery")
Values = dict[tuple[str, ...], float]


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """No answer of another test is kept."""
    metrics.KEPT.forget()
    yield
    metrics.KEPT.forget()


def scrape(client: Client) -> Values:
    """Return every sample by its name and the values of its labels, sorted by label."""
    response = client.get("/metrics")
    assert response.status_code == 200, response.content
    return {
        (sample.name.removeprefix("sentinel_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


def make_event(now: datetime, processed: datetime | None = None, by: str = "") -> None:
    words = {"created_at": now, "processed_at": processed, "processed_by": by}
    task = make_task(TaskStatus.SUCCESS)
    Event.objects.create(job=task.job, task=task, **words)


def make_worker(now: datetime, *groups: int, slots: int) -> None:
    words: dict[str, Any] = {"host": "h", "pid": 1, "pool": "solo", "containment": ""}
    name = f"w{groups}{slots}"
    workers.register(Registration(name=name, slots=slots, group_ids=groups, **words), now=now)


def test_tasks_are_counted_by_status_and_by_what_holds_them(client: Client) -> None:
    now = clock.now()
    for reason in (Reason.UPSTREAM_NOT_DONE, Reason.UPSTREAM_NOT_DONE, Reason.SERIAL_FAILED):
        make_task(TaskStatus.WAITING, reason=reason.value)
    make_task(TaskStatus.READY, ready_at=now - 90 * SECOND)
    make_task(TaskStatus.READY, ready_at=now + HOUR)
    make_task(TaskStatus.RUNNING)
    make_task(TaskStatus.FAILED, ended_at=now - MINUTE)
    make_task(TaskStatus.SUCCESS, ended_at=now - HOUR)

    values = scrape(client)

    assert values["tasks", "WAITING"] == 3
    assert values["tasks", "READY"] == 2
    assert values["tasks", "RUNNING"] == 1
    assert values["tasks_held", "UPSTREAM_NOT_DONE", "WAITING"] == 2
    assert values["tasks_held", "SERIAL_FAILED", "WAITING"] == 1
    assert values["tasks_ended", "FAILED"] == 1
    assert values["tasks_ended", "SUCCESS"] == 0
    assert values["ready_oldest_age_seconds",] == pytest.approx(90, abs=30)


def test_the_lag_is_of_first_attempts_that_started_lately(client: Client) -> None:
    now = clock.now()

    def started(after: timedelta, **words: Any) -> None:
        due_at = now - MINUTE
        make_task(TaskStatus.RUNNING, due_at=due_at, started_at=due_at + after, **words)

    for seconds in (1, 2, 3):
        started(seconds * SECOND)
    started(40 * SECOND, attempt_count=2)
    make_task(TaskStatus.SUCCESS, due_at=now - 2 * HOUR, started_at=now - HOUR, ended_at=now - HOUR)

    values = scrape(client)

    assert values["due_to_start_seconds", "0.5"] == 2
    assert values["due_to_start_seconds", "1.0"] == 3


def test_events_are_counted_by_who_carried_them_on(client: Client) -> None:
    now = clock.now()
    make_event(now - 50 * SECOND)
    for by, age in ((Finder.TRIGGER, MINUTE), (Finder.TRIGGER, MINUTE), (Finder.BEAT, HOUR)):
        make_event(now - HOUR, processed=now - age, by=by.value)

    values = scrape(client)

    assert values["events_processed", "trigger"] == 2
    assert values["events_processed", "beat"] == 0
    assert values["events_unprocessed",] == 1
    assert values["expressions_set_aside",] == 0
    assert values["events_oldest_age_seconds",] == pytest.approx(50, abs=30)


def test_workers_and_their_slots_are_counted_by_group(client: Client) -> None:
    now = clock.now()
    heavy = WorkerGroup.objects.create(name="heavy")
    make_worker(now, 1, slots=4)
    make_worker(now, 1, heavy.pk, slots=2)
    make_worker(now - HOUR, heavy.pk, slots=8)

    values = scrape(client)

    assert (values["workers_live", "default"], values["worker_slots", "default"]) == (2, 6)
    assert (values["workers_live", "heavy"], values["worker_slots", "heavy"]) == (1, 2)


def test_no_beat_is_as_old_as_can_be(client: Client) -> None:
    assert scrape(client)["scheduler_heartbeat_age_seconds",] == float("inf")

    metrics.KEPT.forget()
    schedulers.beat("b", now=clock.now() - 7 * SECOND)

    values = scrape(client)
    assert values["scheduler_heartbeat_age_seconds",] == pytest.approx(7, abs=3)
    assert values["schedulers_live",] == 1


def test_attempts_lost_in_the_last_hour_are_counted(client: Client) -> None:
    for age in (MINUTE, 2 * HOUR):
        make_attempt(AttemptStatus.LOST, ended_at=clock.now() - age)

    assert scrape(client)["attempts_lost",] == 1


def test_deliveries_are_counted_until_they_are_made(client: Client) -> None:
    now = clock.now()
    make_delivery("a", DeliveryState.PENDING, next_at=now)
    make_delivery("b", DeliveryState.DELIVERED, ended_at=now)
    make_delivery("c", DeliveryState.GIVEN_UP, ended_at=now - MINUTE)
    make_delivery("d", DeliveryState.GIVEN_UP, ended_at=now - 2 * HOUR)

    values = scrape(client)

    assert [values["deliveries", state] for state in ("PENDING", "GIVEN_UP")] == [1, 1]


def make_delivery(key: str, state: DeliveryState, **words: Any) -> None:
    task = make_task()
    Delivery.objects.create(
        job=task.job,
        task=task,
        channel=Channel.WEBHOOK.value,
        target="https://example.com/",
        payload={},
        once_key=key,
        state=state.value,
        created_at=clock.now(),
        **words,
    )


def test_an_answer_is_kept_for_some_seconds(client: Client) -> None:
    scrape(client)

    with CaptureQueriesContext(connection) as queries:
        scrape(client)

    assert len(queries) == 0


@pytest.mark.usefixtures("spelled_statements")
def test_a_scrape_reads_no_large_table_to_its_end(client: Client) -> None:
    """Each question goes through an index, so what has ended long ago costs nothing."""
    with CaptureQueriesContext(connection) as captured:
        scrape(client)

    plans = {sql: plan_of(sql) for sql in (query["sql"] for query in captured)}
    asked = {sql: plan for sql, plan in plans.items() if any(f'"{name}"' in sql for name in LARGE)}
    assert len(asked) >= 8
    assert {sql: plan for sql, plan in asked.items() if "INDEX" not in plan.upper()} == {}
    assert len(captured) < 20


def plan_of(sql: str) -> str:
    """Return how the database would go about it; an empty Postgres must be told to use indexes."""
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        if not is_sqlite:
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {'QUERY PLAN' * is_sqlite} {sql}".replace("%", "%%"))
        return " ".join(str(row[-1]) for row in cursor.fetchall())


# -- who may read it -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "status"),
    [("127.0.0.1", 200), ("::1", 200), ("127.0.0.2", 403), ("10.1.2.3", 403), ("", 403)],
)
def test_it_is_for_this_machine_alone_by_default(address: str, status: int, client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR=address).status_code == status


@pytest.mark.parametrize(("address", "status"), [("10.1.2.3", 200), ("10.2.0.1", 403)])
def test_networks_can_be_let_in(address: str, status: int, client: Client, settings: Any) -> None:
    settings.SENTINEL_METRICS_ALLOW = ["10.1.0.0/16"]

    assert client.get("/metrics", REMOTE_ADDR=address).status_code == status


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer s3cre", 403),
        ("Bearer ", 403),
        ("s3cret", 403),
        ("Basic s3cret", 403),
        ("Bearer é", 403),
    ],
)
def test_the_token_opens_it_from_anywhere(
    given: str, status: int, client: Client, settings: Any
) -> None:
    settings.SENTINEL_METRICS_TOKEN = "s3cret"

    response = client.get("/metrics", REMOTE_ADDR="10.1.2.3", HTTP_AUTHORIZATION=given)

    assert response.status_code == status


def test_no_token_is_none_that_could_be_given(client: Client) -> None:
    response = client.get("/metrics", REMOTE_ADDR="10.1.2.3", HTTP_AUTHORIZATION="Bearer ")

    assert response.status_code == 403


def test_behind_a_proxy_that_we_were_not_told_of_nobody_is_a_neighbour(
    client: Client, settings: Any
) -> None:
    """A proxy on this machine would otherwise open it to the world."""
    words: dict[str, Any] = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}
    assert client.get("/metrics", **words).status_code == 403

    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert client.get("/metrics", **words).status_code == 200
    words["HTTP_X_FORWARDED_FOR"] = "127.0.0.1, 10.1.2.3"
    assert client.get("/metrics", **words).status_code == 403


# -- what is said about it -------------------------------------------------------------------------

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
ROW = re.compile(r"^\| `(sentinel_\w+)` \| (.*?) ?\|", re.MULTILINE)


def test_the_operations_page_lists_every_metric_with_its_labels(client: Client) -> None:
    make_task(TaskStatus.RUNNING, due_at=clock.now(), started_at=clock.now())
    make_task(TaskStatus.WAITING)
    families = text_string_to_metric_families(client.get("/metrics").content.decode())
    found = {each.name: {label for s in each.samples for label in s.labels} for each in families}

    told = {name: set(re.findall(r"\w+", labels)) for name, labels in ROW.findall(OPERATIONS)}

    assert told == found


def test_every_metric_has_a_rule_and_rules_know_no_others() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", OPERATIONS, re.DOTALL)
    (groups,) = [yaml.safe_load(block)["groups"] for block in blocks if "alert" in block]

    asked = {
        name for rule in groups[0]["rules"] for name in re.findall(r"sentinel_\w+", rule["expr"])
    }

    assert asked == {name for name, _ in ROW.findall(OPERATIONS)}
