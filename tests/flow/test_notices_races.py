"""Several beats tell others at once, on PostgreSQL: each thing is told once to each receiver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pytest_django import Settings

from jobs.models import App, Job
from sentinel_project import clock
from tasks_app import alarm_services, notices, services, transitions
from tasks_app.models import Change, Delivery
from tasks_app.notices.delivering import BATCH
from tasks_app.notifier import Notifier
from tasks_app.rules.notices import AlarmEvent, DeliveryState, SystemEvent
from tests.builders import make_task
from tests.engine import ANN, in_threads
from tests.flow.executions import eventually
from tests.flow.notices import SetClock, bodies
from tests.flow.races import DUE, ROUNDS, START, scheduled
from tests.flow.web_receiver import Receiver, receiving

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("postgres")]

BEATS = 3
LATE = DUE + timedelta(hours=1)


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.SENTINEL_CALLBACK_ALLOW_PRIVATE = True
    with receiving() as made:
        yield made


def alarmed(app: App, receiver: Receiver, *events: AlarmEvent, **words: Any) -> Job:
    """Return a job with an alarm of two receivers."""
    job = scheduled(app)
    spec = alarm_services.AlarmSpec(
        events=events, webhooks=(receiver.url("/a"), receiver.url("/b")), **words
    )
    alarm_services.add_alarm(job.pk, spec, app=app, user=ANN, now=START)
    return Job.objects.get(pk=job.pk)


def beats(work: partial[int]) -> None:
    """Let every beat do it at once."""
    in_threads(*([work] * BEATS))


def told(receiver: Receiver) -> Counter[int]:
    """Return how often each delivery has come in."""
    return Counter(body["deliveryId"] for body in bodies(receiver))


def assert_each_was_told_once(job: Job, receiver: Receiver, count: int) -> None:
    made = Delivery.objects.filter(job=job)
    ids = set(made.values_list("pk", flat=True))
    log = list(made.exclude(state="DELIVERED").values_list("pk", "state", "log__answer"))
    assert log == []
    assert {pk: times for pk, times in told(receiver).items() if pk in ids} == dict.fromkeys(ids, 1)
    assert made.count() == count
    assert set(made.values_list("state", "tries")) == {(DeliveryState.DELIVERED.value, 1)}


def test_changes_are_expanded_and_delivered_once(app: App, receiver: Receiver) -> None:
    """D-84, X-2: a change is taken by one beat, a delivery is claimed by one."""
    for _ in range(ROUNDS):
        job = alarmed(app, receiver, AlarmEvent.KILLED)
        tasks = [make_task(job=job, due_at=DUE + timedelta(minutes=n)) for n in range(5)]
        for task in tasks:
            transitions.kill(task, user=ANN, now=LATE)

        beats(partial(notices.run_once, SetClock(LATE)))
        # Who came while another held the changes found nothing to send yet.
        notices.run_once(SetClock(LATE))

        assert not Change.objects.filter(job=job).exists()
        assert_each_was_told_once(job, receiver, 2 * len(tasks))


def test_more_than_a_batch_is_shared_and_nothing_is_sent_twice(
    app: App, receiver: Receiver
) -> None:
    job = alarmed(app, receiver, AlarmEvent.KILLED)
    count = BATCH
    for number in range(count):
        task = make_task(job=job, due_at=DUE + timedelta(minutes=number))
        transitions.kill(task, user=ANN, now=LATE)
    notices.expand_changes(now=LATE)

    beats(partial(notices.deliver_due, SetClock(LATE)))
    notices.deliver_due(SetClock(LATE))

    assert_each_was_told_once(job, receiver, 2 * count)


def test_a_deadline_is_raised_once(app: App, receiver: Receiver) -> None:
    for _ in range(ROUNDS):
        within = timedelta(minutes=5)
        job = alarmed(app, receiver, AlarmEvent.NOT_STARTED, start_within=within)
        make_task(job=job, due_at=DUE)

        beats(partial(notices.watch_deadlines, now=LATE))
        notices.run_once(SetClock(LATE))

        assert_each_was_told_once(job, receiver, 2)


def test_a_run_that_was_never_opened_is_told_once(app: App, receiver: Receiver) -> None:
    services.set_system_paused(True, app=app, user=ANN, now=START)
    for _ in range(ROUNDS):
        within = timedelta(minutes=5)
        job = alarmed(app, receiver, AlarmEvent.NOT_STARTED, start_within=within)

        beats(partial(notices.watch_unopened, now=LATE))
        notices.run_once(SetClock(LATE))

        assert_each_was_told_once(job, receiver, 2)
    services.set_system_paused(False, app=app, user=ANN, now=LATE)


def test_operators_are_told_once(app: App, receiver: Receiver, settings: Settings) -> None:
    settings.SENTINEL_ALARM_WEBHOOKS = [receiver.url()]
    words = ("a group", "no worker is alive")

    def tell(once: str) -> int:
        notices.tell(SystemEvent.NO_WORKERS, *words, once=once, now=LATE)
        return notices.deliver_due(SetClock(LATE))

    for number in range(ROUNDS):
        beats(partial(tell, f"round {number}"))

    assert set(told(receiver).values()) == {1}
    assert Delivery.objects.filter(job=None).count() == ROUNDS


def test_the_notifiers_of_several_beats_tell_once(app: App, receiver: Receiver) -> None:
    """The very threads that run beside beat."""
    job = alarmed(app, receiver, AlarmEvent.KILLED)
    notifiers = [Notifier() for _ in range(BEATS)]
    for notifier in notifiers:
        notifier.start()
    try:
        for number in range(10):
            task = make_task(job=job, due_at=DUE + timedelta(minutes=number))
            transitions.kill(task, user=ANN, now=clock.now())
        over = Delivery.objects.filter(job=job, state=DeliveryState.DELIVERED.value)
        assert eventually(lambda: over.count() == 20, within=60)
    finally:
        for notifier in notifiers:
            notifier.stop()

    assert_each_was_told_once(job, receiver, 20)
