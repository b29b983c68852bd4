"""Callbacks: each change of status is posted once it is committed, signed, and tried again."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from jobs import keys
from jobs.models import AuditEntry
from sentinel_project.errors import NotFound, Refused
from tasks_app import alarm_services, notices, transitions
from tasks_app.models import Change, Delivery, DeliveryTry, Task
from tasks_app.notices import delivering, webhook
from tasks_app.rules.notices import MAX_TRIES, DeliveryState
from tasks_app.rules.states import AttemptStatus, TaskStatus
from tests.builders import KEY, NOW, make_app, make_job, make_task
from tests.engine import begin, end, run
from tests.flow.executions import eventually
from tests.flow.notices import SetClock, bodies, due_task, telling_job
from tests.flow.web_receiver import Receiver, receiving

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.SENTINEL_CALLBACK_ALLOW_PRIVATE = True
    with receiving() as made:
        yield made


@pytest.fixture
def tick() -> SetClock:
    return SetClock()


def test_a_run_is_told_status_by_status(receiver: Receiver, tick: SetClock) -> None:
    task = due_task(telling_job(receiver, max_retries=1))

    end(begin(task, now=NOW), AttemptStatus.FAILED, now=NOW)
    Task.objects.filter(pk=task.pk).update(ready_at=NOW)
    run(task, now=NOW)
    assert notices.run_once(tick) == 4

    told = sorted(bodies(receiver), key=lambda body: body["deliveryId"])
    assert [(body["status"], body["attemptId"]) for body in told] == [
        (TaskStatus.RUNNING, 1),
        (TaskStatus.READY, 1),
        (TaskStatus.RUNNING, 2),
        (TaskStatus.SUCCESS, 2),
    ]
    assert told[0] | {"deliveryId": 0} == {
        "deliveryId": 0,
        "kind": "STATUS",
        "status": 3,
        "attemptId": 1,
        "jobId": task.job_id,
        "jobName": task.job.name,
        "taskId": task.pk,
        "scheduleTime": int(task.due_at.timestamp() * 1000),
        "dataTime": int(task.data_at.timestamp() * 1000),
        "reason": None,
        "reasonText": None,
        "time": int(NOW.timestamp() * 1000),
    }
    assert not Change.objects.exists()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"DELIVERED"}


def test_a_change_that_is_rolled_back_is_not_told(receiver: Receiver, tick: SetClock) -> None:
    task = make_task(job=telling_job(receiver))

    with transaction.atomic():
        assert transitions.kill(task, user="ann", now=NOW)
        transaction.set_rollback(True)

    assert notices.run_once(tick) == 0
    assert receiver.got == []


@pytest.mark.usefixtures("spelled_statements")
def test_a_job_that_nobody_listens_to_costs_no_statement(receiver: Receiver) -> None:
    plain, telling = due_task(make_job()), due_task(telling_job(receiver))

    def statements(task: Task) -> list[str]:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            run(task, now=NOW)
        return [query["sql"] for query in caught.captured_queries]

    statements(due_task(make_job()))
    before, after = statements(plain), statements(telling)

    assert not [sql for sql in before if "tasks_app_change" in sql or "tasks_app_alarm" in sql]
    assert len(after) == len(before) + 2, "one for RUNNING, one for SUCCESS"


def test_a_post_is_signed_with_the_keys_of_the_app(receiver: Receiver, tick: SetClock) -> None:
    job = telling_job(receiver)
    type(job.app).objects.filter(pk=job.app_id).update(sealed_old_key=keys.seal("older"))
    transitions.kill(make_task(job=job), user="ann", now=NOW)

    notices.run_once(tick)

    (got,) = receiver.got
    stamp = got.headers["x-sentinel-timestamp"]
    assert int(stamp) == int(NOW.timestamp())
    assert got.headers["x-sentinel-signature"].split(", ") == [
        "v1=" + hmac.new(key, f"{stamp}.".encode() + got.body, hashlib.sha256).hexdigest()
        for key in (KEY.encode(), b"older")
    ]
    assert got.headers["x-sentinel-delivery"] == str(Delivery.objects.get().pk)


def killed(receiver: Receiver) -> Delivery:
    """Leave one delivery to be made."""
    transitions.kill(make_task(job=telling_job(receiver)), user="ann", now=NOW)
    notices.expand_changes(now=NOW)
    return Delivery.objects.get()


def test_a_receiver_that_fails_is_asked_again_with_the_same_words(
    receiver: Receiver, tick: SetClock
) -> None:
    delivery = killed(receiver)
    receiver.status = 500

    notices.deliver_due(tick)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == (DeliveryState.PENDING, 1)
    assert delivery.next_at == NOW + timedelta(seconds=5)
    assert notices.deliver_due(tick) == 0

    tick.forward(seconds=5)
    receiver.status = 204
    assert notices.deliver_due(tick) == 1

    ended = Delivery.objects.get()
    assert (ended.state, ended.next_at) == (DeliveryState.DELIVERED, None)
    assert receiver.got[0].body == receiver.got[1].body
    assert [(each.is_good, each.answer[:3]) for each in delivery.log.order_by("number")] == [
        (False, "500"),
        (True, "204"),
    ]


def test_it_is_given_up_after_the_last_try_and_begins_anew_on_request(
    receiver: Receiver, tick: SetClock
) -> None:
    delivery = killed(receiver)
    receiver.status = 404

    tried = 0
    while notices.deliver_due(tick):
        tried += 1
        tick.forward(hours=1)
    delivery.refresh_from_db()
    assert (tried, delivery.state) == (MAX_TRIES, DeliveryState.GIVEN_UP)

    receiver.status = 200
    assert delivery.job
    app = delivery.job.app
    alarm_services.redeliver(delivery.pk, app=app, user="ann", now=tick())
    notices.deliver_due(tick)

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.DELIVERED
    assert AuditEntry.objects.get(action="delivery.redeliver").object_id == delivery.pk
    assert DeliveryTry.objects.count() == MAX_TRIES + 1


def test_only_ones_own_and_what_is_over_is_delivered_again(
    receiver: Receiver, tick: SetClock
) -> None:
    delivery = killed(receiver)
    assert delivery.job

    with pytest.raises(Refused, match="still on its way"):
        alarm_services.redeliver(delivery.pk, app=delivery.job.app, user="ann", now=NOW)
    with pytest.raises(NotFound, match=f"no delivery {delivery.pk}"):
        alarm_services.redeliver(delivery.pk, app=make_app(), user="bob", now=NOW)


def test_whoever_dies_while_sending_leaves_it_to_the_next(
    receiver: Receiver, tick: SetClock
) -> None:
    delivery = killed(receiver)

    assert len(delivering._claim(tick())) == 1
    assert notices.deliver_due(tick) == 0, "somebody is at it"

    tick.now += delivering.LEASE
    assert notices.deliver_due(tick) == 1
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.DELIVERED


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_private_address_is_not_called_unless_that_is_allowed(
    receiver: Receiver, tick: SetClock, settings: Settings, address: str
) -> None:
    settings.SENTINEL_CALLBACK_ALLOW_PRIVATE = False
    delivery = killed(receiver)
    Delivery.objects.update(target=receiver.url(host=address))

    notices.deliver_due(tick)

    delivery.refresh_from_db()
    assert receiver.got == []
    assert delivery.state == DeliveryState.GIVEN_UP
    assert "not called" in delivery.log.get().answer


def test_a_redirect_is_a_failure(receiver: Receiver, tick: SetClock) -> None:
    delivery = killed(receiver)
    receiver.status, receiver.headers = 307, {"Location": receiver.url("/elsewhere")}

    notices.deliver_due(tick)

    assert [got.path for got in receiver.got] == ["/callback"]
    assert delivery.log.get().is_good is False


def test_a_long_answer_is_not_read_to_its_end(receiver: Receiver, tick: SetClock) -> None:
    delivery = killed(receiver)
    receiver.body = b"<\x00\x1b[1m" + b"x" * 5_000_000

    notices.deliver_due(tick)

    answer = delivery.log.get().answer
    assert len(answer) < 300
    assert "\x1b" not in answer
    assert "\x00" not in answer


@pytest.fixture
def dripping() -> Iterator[str]:
    """A receiver that sends its headers byte by byte and never comes to an end."""
    over = threading.Event()

    def drip() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not over.wait(0.05):
                try:
                    peer.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        over.set()
        thread.join()


def test_a_receiver_that_answers_byte_by_byte_is_hung_up_on(
    receiver: Receiver, tick: SetClock, dripping: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = killed(receiver)
    Delivery.objects.update(target=dripping)
    monkeypatch.setattr(webhook, "_WHOLE", 0.5)

    notices.deliver_due(tick)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == (DeliveryState.PENDING, 1)


def test_one_that_hangs_does_not_hold_up_the_others(receiver: Receiver, tick: SetClock) -> None:
    """Answers wait for each other here: one after the other, they would never come."""
    job = telling_job(receiver)
    for _ in range(4):
        transitions.kill(make_task(job=job), user="ann", now=NOW)
    receiver.may_answer.clear()
    waiter = threading.Thread(target=_release_when, args=(receiver, 4))
    waiter.start()

    assert notices.run_once(tick) == 4

    waiter.join()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"DELIVERED"}


def _release_when(receiver: Receiver, count: int) -> None:
    eventually(lambda: len(receiver.got) >= count, within=4)
    receiver.may_answer.set()


def test_what_breaks_while_it_is_sent_is_a_failed_try(
    receiver: Receiver, tick: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-84: httpx meets a target that it cannot even say no to."""
    delivery = killed(receiver)

    def fail(*_: object, **__: object) -> None:
        raise LookupError("unknown encoding: idna")

    monkeypatch.setattr(httpx.Client, "stream", fail)
    notices.deliver_due(tick)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == (DeliveryState.PENDING, 1)
    assert delivery.log.get().answer == "it could not be sent: LookupError"


def test_a_try_that_cannot_be_noted_costs_no_other_its_note(
    receiver: Receiver, tick: SetClock
) -> None:
    job = telling_job(receiver)
    for _ in range(2):
        transitions.kill(make_task(job=job), user="ann", now=NOW)
    notices.expand_changes(now=NOW)
    refusals = [OperationalError("deadlock detected")]

    def refuse_once(execute: Any, sql: str, *words: Any) -> Any:
        if refusals and sql.startswith("INSERT") and "tasks_app_deliverytry" in sql:
            raise refusals.pop()
        return execute(sql, *words)

    with connection.execute_wrapper(refuse_once):
        assert notices.deliver_due(tick) == 2

    states = Delivery.objects.order_by("state").values_list("state", flat=True)
    assert list(states) == [DeliveryState.DELIVERED, DeliveryState.PENDING]
    tick.now += delivering.LEASE
    assert notices.deliver_due(tick) == 1


def test_nothing_is_begun_that_another_beat_could_have_claimed_before_it_ends(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is slow, a delivery is not sent twice for it."""
    job = telling_job(receiver)
    for _ in range(3):
        transitions.kill(make_task(job=job), user="ann", now=NOW)
    notices.expand_changes(now=NOW)
    monkeypatch.setattr(delivering, "AT_ONCE", 1)

    # Each that arrives took three minutes.
    assert notices.deliver_due(lambda: NOW + len(receiver.got) * timedelta(minutes=3)) == 1

    assert len(receiver.got) == 1
    assert notices.deliver_due(lambda: NOW + delivering.LEASE) == 2


def test_a_change_that_is_expanded_twice_is_told_once(receiver: Receiver) -> None:
    transitions.kill(make_task(job=telling_job(receiver)), user="ann", now=NOW)
    change = Change.objects.get()

    notices.expand_changes(now=NOW)
    change.save(force_insert=True)
    notices.expand_changes(now=NOW)

    assert Delivery.objects.count() == 1
