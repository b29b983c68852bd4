"""Who is alive: workers with their slots, beats with their lease, and how beat is woken."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.core import checks
from django.db import connection, transaction
from django.test import Client, override_settings

from jobs.models import WorkerGroup
from sentinel_project import clock, health
from sentinel_project.checks import check_settings
from tasks_app import schedulers, wakeup, workers
from tasks_app.models import Worker


def registration(name: str = "w1", *, pid: int = 1, slots: int = 4) -> workers.Registration:
    return workers.Registration(
        name=name,
        host="h",
        pid=pid,
        pool="prefork",
        slots=slots,
        group_ids=[1],
        containment="pid-namespace",
    )


@pytest.mark.django_db
def test_the_slots_of_a_group_are_those_of_its_live_workers(now: datetime) -> None:
    """D-81."""
    workers.register(registration("w1", slots=4), now=now)
    workers.register(registration("w2", slots=3), now=now)
    workers.register(registration("gone", slots=9), now=now - timedelta(minutes=1))
    workers.register(registration("stopped", slots=9), now=now)
    workers.stop(registration("stopped"), now=now)

    assert workers.live_slots(now) == {1: 7}


@pytest.mark.django_db
def test_a_worker_that_serves_two_groups_counts_in_both(now: datetime) -> None:
    WorkerGroup.objects.create(pk=7, name="seven")
    worker = workers.register(registration(), now=now)
    worker.groups.add(7)

    assert workers.live_slots(now) == {1: 4, 7: 4}


@pytest.mark.django_db
def test_a_beat_keeps_a_worker_alive_and_a_stopped_one_stays_stopped(now: datetime) -> None:
    workers.register(registration(), now=now - timedelta(minutes=1))

    assert workers.beat(registration(), now=now)
    assert workers.live_slots(now) == {1: 4}
    workers.stop(registration(), now=now)
    assert not workers.beat(registration(), now=now)
    assert workers.live_slots(now) == {}


@pytest.mark.django_db
def test_a_group_that_is_made_after_its_worker_started_is_served(now: datetime) -> None:
    """D-81."""
    early = replace(registration(), group_ids=[1, 7])
    started_at = workers.register(early, now=now).started_at
    assert workers.beat(early, now=now)
    assert workers.live_slots(now) == {1: 4}

    WorkerGroup.objects.create(pk=7, name="seven")
    later = now + workers.BEAT_EVERY
    assert workers.beat(early, now=later)

    assert workers.live_slots(later) == {1: 4, 7: 4}
    assert Worker.objects.get().started_at == started_at


@pytest.mark.django_db
def test_a_process_does_not_beat_for_its_successor(now: datetime) -> None:
    workers.register(registration(pid=1), now=now)
    workers.register(registration(pid=2), now=now)

    assert not workers.beat(registration(pid=1), now=now)
    workers.stop(registration(pid=1), now=now)
    assert Worker.objects.get().stopped_at is None


@pytest.mark.django_db
def test_one_beat_at_a_time_sends_the_periodic_tasks(now: datetime) -> None:
    for name in ("a", "b"):
        schedulers.beat(name, now=now)

    assert schedulers.lease("a", now=now)
    assert not schedulers.lease("b", now=now)
    assert schedulers.lease("a", now=now + timedelta(seconds=5))
    assert schedulers.lease("b", now=now + timedelta(seconds=16))
    schedulers.leave("b")
    assert schedulers.lease("a", now=now + timedelta(seconds=17))


@pytest.mark.usefixtures("committed_db")
def test_a_commit_ends_the_sleep_of_beat() -> None:
    listener = wakeup.Listener()
    listener.mark()
    begun = clock.monotonic()
    submitter = threading.Timer(0.2, _submit)
    submitter.start()

    try:
        assert listener.wait(10)
    finally:
        submitter.join()
        listener.close()
    assert clock.monotonic() - begun < 5


@pytest.mark.usefixtures("committed_db")
def test_what_was_committed_while_beat_worked_is_not_slept_over() -> None:
    listener = wakeup.Listener()
    listener.mark()
    _submit()

    assert listener.wait(5)
    listener.close()


@pytest.mark.usefixtures("committed_db")
def test_beat_sleeps_on_while_nothing_is_committed() -> None:
    listener = wakeup.Listener()
    listener.mark()

    assert not listener.wait(0.1)
    listener.close()


@pytest.mark.postgres
@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize(
    ("due_in", "is_woken"),
    [
        pytest.param(timedelta(0), True, id="due"),
        pytest.param(wakeup.LONGEST_SLEEP, True, id="due as the longest sleep ends"),
        pytest.param(wakeup.LONGEST_SLEEP * 2, False, id="due when beat has looked by itself"),
        pytest.param(None, False, id="never due"),
    ],
)
def test_beat_is_woken_only_for_what_it_would_oversleep(
    due_in: timedelta | None, is_woken: bool, now: datetime
) -> None:
    listener = wakeup.Listener()
    listener.mark()

    wakeup.signal_of(None if due_in is None else now + due_in, now=now)

    assert listener.wait(5 if is_woken else 0.2) is is_woken
    listener.close()


def _submit() -> None:
    with transaction.atomic():
        wakeup.signal()
        schedulers.beat("submitter", now=clock.now())
    if threading.current_thread() is not threading.main_thread():
        connection.close()


@pytest.mark.django_db
def test_healthz_says_ok_whatever_is_ill(client: Client) -> None:
    reply = client.get("/healthz")

    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_readyz_names_what_is_missing(client: Client) -> None:
    health.KEPT.forget()
    reply = client.get("/readyz")

    assert reply.status_code == 503
    found = reply.json()["checks"]
    assert found["database"] == "ok"
    assert found["beat"] == "no scheduler was heard of lately"
    assert found["worker:default"] == "no live worker"


@pytest.mark.django_db
def test_every_trouble_comes_with_a_way_to_mend_it(now: datetime) -> None:
    ill = [finding for finding in health.examine(now=now) if not finding.is_well]

    assert {"beat", "worker:default"} <= {finding.name for finding in ill}
    assert all(finding.mend for finding in ill)


@pytest.mark.parametrize(
    ("setting", "value", "check_id"),
    [
        ("SENTINEL_LEASE", timedelta(seconds=10), "sentinel.E001"),
        ("CELERY_BROKER_URL", "kafka://localhost", "sentinel.E002"),
        ("SENTINEL_TIME_ZONE", "Mars/Olympus", "sentinel.E003"),
        ("SENTINEL_WORKER_GROUPS", [], "sentinel.E004"),
        ("SENTINEL_METRICS_ALLOW", ["here"], "sentinel.E008"),
        ("SENTINEL_ALARM_MAILS", ["ops"], "sentinel.E011"),
        ("SENTINEL_ALARM_WEBHOOKS", ["http://10.0.0.1/"], "sentinel.E011"),
        ("SENTINEL_REQUEST_SECONDS", 0, "sentinel.E012"),
        ("SENTINEL_MAIL_FROM", "Sentinel, Ops <ops@example.com>", "sentinel.E010"),
    ],
)
def test_a_wrong_setting_is_an_error_with_an_id(setting: str, value: object, check_id: str) -> None:
    with override_settings(**{setting: value}):
        found = {message.id for message in check_settings(None)}

    assert check_id in found


def test_the_settings_as_they_come_are_right() -> None:
    assert [found for found in check_settings(None) if found.level >= checks.ERROR] == []
