"""Who an attempt belongs to: heartbeats, giving up, and taking over (3-execution.md 3)."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

import pytest
from django.db.backends.signals import connection_created
from django.db.models.functions import Now

from logs_app import store
from logs_app.models import StreamKind
from sentinel_project import clock
from tasks_app import claims, heart, rescuer, runner
from tasks_app.executors.base import Stop, StopReason
from tasks_app.heart import Charge, Heart
from tasks_app.models import Attempt, SystemState
from tasks_app.rescuer import Rescuer
from tasks_app.rules.states import AttemptStatus, TaskStatus
from tasks_app.rules.timing import Lease
from tests.builders import make_attempt, make_task
from tests.flow.executions import eventually

SECOND = timedelta(seconds=1)
QUICK = Lease(length=3 * SECOND, heartbeat=0.2 * SECOND, margin=SECOND, grace=7 * SECOND)
LIVE = AttemptStatus.RUNNING


def charge_of(attempt: Attempt) -> Charge:
    writer = store.Writer(attempt.pk, fence=attempt.fence)
    return Charge(attempt, writer, Stop(), clock.monotonic())


def status_of(attempt: Attempt) -> str:
    return Attempt.objects.values_list("status", flat=True).get(pk=attempt.pk)


def lease_left(attempt: Attempt) -> timedelta:
    """Return how long the attempt's lease still runs, by the database's clock."""
    lease_until, now = Attempt.objects.values_list("lease_until", Now()).get(pk=attempt.pk)
    left: timedelta = lease_until - now
    return left


@pytest.fixture
def beating(committed_db: None) -> Iterator[Heart]:
    """A heart with short spans; whatever it cares for is let go afterwards."""
    heart = Heart(QUICK)
    yield heart
    for charge in list(heart._charges.values()):
        heart.drop(charge)
    assert eventually(lambda: heart._thread is None)


# -- the worker's side -----------------------------------------------------------------------------


def test_a_heart_renews_all_of_its_attempts_by_the_databases_clock(beating: Heart) -> None:
    attempts = [make_attempt(lease_until=clock.now() - timedelta(days=1)) for _ in range(3)]

    for attempt in attempts:
        beating.take(charge_of(attempt))

    assert eventually(lambda: min(map(lease_left, attempts)) > 2 * SECOND)


def test_an_attempt_that_was_taken_over_is_fenced_and_the_others_are_kept(beating: Heart) -> None:
    lost, kept = (charge_of(make_attempt()) for _ in range(2))
    Attempt.objects.filter(pk=lost.attempt_id).update(status=AttemptStatus.LOST.value)

    beating.take(lost)
    beating.take(kept)

    assert eventually(lambda: lost.stop.reason is StopReason.FENCED)
    assert kept.stop.reason is None


def test_an_attempt_whose_beat_was_never_confirmed_is_given_up(beating: Heart) -> None:
    charge = charge_of(make_attempt())
    charge.confirmed_at -= 3600

    beating.take(charge)

    assert eventually(lambda: charge.stop.reason is StopReason.FENCED)


def start_fails_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the kernel refuse the next thread of that name."""
    start = threading.Thread.start
    refused: list[threading.Thread] = []

    def refuse(thread: threading.Thread) -> None:
        if thread.name == name and not refused:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.parametrize("name", ["heart", "watch"])
def test_a_thread_that_could_not_start_is_started_for_the_next_attempt(
    beating: Heart, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    start_fails_once(monkeypatch, name)
    first, late = charge_of(make_attempt()), charge_of(make_attempt())
    late.confirmed_at -= 3600
    with pytest.raises(RuntimeError, match="new thread"):
        beating.take(first)
    beating.drop(first)
    attempt = make_attempt(lease_until=clock.now() - timedelta(days=1))

    beating.take(charge_of(attempt))
    beating.take(late)

    assert eventually(lambda: lease_left(attempt) > 2 * SECOND)
    assert eventually(lambda: late.stop.reason is StopReason.FENCED)


def test_an_attempt_that_no_heart_could_take_is_nobodys_charge(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "_hearts", {})
    start_fails_once(monkeypatch, "heart")
    task = make_task(ready_at=clock.now() - SECOND)

    with pytest.raises(RuntimeError, match="new thread"):
        runner.run(task.pk, worker="w1", clock=clock.now)

    assert heart.of_this_process(QUICK)._all() == []


def test_a_heart_outlives_whatever_one_beat_meets(beating: Heart) -> None:
    """Nothing else renews what runs here; the error comes with the heart's own connection."""
    failed = threading.Event()

    def fail(**_: object) -> None:
        if threading.current_thread().name == "heart" and not failed.is_set():
            failed.set()
            raise MemoryError

    attempt = make_attempt(lease_until=clock.now() - timedelta(days=1))
    connection_created.connect(fail)
    try:
        beating.take(charge_of(attempt))

        assert eventually(lambda: lease_left(attempt) > 2 * SECOND)
    finally:
        connection_created.disconnect(fail)
    assert failed.is_set()


def test_output_that_a_disk_does_not_give_back_holds_up_no_other(
    beating: Heart, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    spilled, other = charge_of(make_attempt()), charge_of(make_attempt())
    monkeypatch.setattr(os, "pread", fail)
    with closing(spilled.writer):
        spilled.writer.result(b"x" * 2 * 1024 * 1024)
        other.writer.result(b"fine")

        beating.take(spilled)
        beating.take(other)

        assert eventually(lambda: result_of(other) == "fine")
        beating.drop(spilled)


def result_of(charge: Charge) -> str:
    return store.read_all(charge.attempt_id, StreamKind.RESULT).text


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_a_worker_with_a_wrong_clock_gets_a_whole_lease(db: None, hours: int) -> None:
    now = clock.now() + timedelta(hours=hours)
    task = make_task(ready_at=now - SECOND)

    attempt = claims.claim(task.pk, worker="w1", lease=Lease(), now=now)

    assert attempt is not None
    assert 25 * SECOND < lease_left(attempt) <= 30 * SECOND


@pytest.mark.parametrize(
    "words",
    [
        pytest.param({"heartbeat": 11 * SECOND}, id="two heartbeats do not fit"),
        pytest.param({"margin": SECOND}, id="no time to end the processes"),
    ],
)
def test_spans_that_do_not_fit_are_refused(words: dict[str, timedelta]) -> None:
    with pytest.raises(ValueError, match="the lease does not fit"):
        Lease(**words)


# -- the rescuer's side ----------------------------------------------------------------------------


class Times:
    """A monotonic clock and a database's clock that go on when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall = clock.now()

    def monotonic(self) -> float:
        return self.seconds

    def database(self) -> datetime:
        return self.wall

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def overdue(db: None) -> Attempt:
    return make_attempt(lease_until=clock.now() - timedelta(minutes=1))


def run_for(rescuer_: Rescuer, times: Times, seconds: int) -> int:
    """Have the rescuer run every three seconds, as in beat; return how many it took over."""
    taken = 0
    for _ in range(seconds // 3):
        times.pass_(3)
        taken += rescuer_.run_once(now=clock.now())
    return taken


def test_nothing_is_taken_over_before_a_lease_has_passed_since_the_start(
    overdue: Attempt, times: Times
) -> None:
    fresh = Rescuer(times.monotonic, times.database)

    assert run_for(fresh, times, 27) == 0
    assert run_for(fresh, times, 3) == 1
    assert status_of(overdue) == AttemptStatus.LOST


def warm(times: Times) -> Rescuer:
    """Return a rescuer whose warm-up is over."""
    made = Rescuer(times.monotonic, times.database)
    assert run_for(made, times, 60) == 0
    return made


def trouble(made: Rescuer, times: Times) -> None:
    made.start_anew()


def silence(made: Rescuer, times: Times) -> None:
    times.pass_(25)


def jump(made: Rescuer, times: Times) -> None:
    times.wall += timedelta(minutes=10)


@pytest.mark.parametrize("what", [trouble, silence, jump])
def test_trouble_begins_the_warm_up_again(db: None, times: Times, what: object) -> None:
    """A database that was away, or hung, or whose clock jumped: workers could not beat."""
    made = warm(times)
    attempt = make_attempt(lease_until=clock.now() - timedelta(minutes=1))
    assert callable(what)
    what(made, times)

    assert run_for(made, times, 27) == 0
    assert status_of(attempt) == LIVE
    assert run_for(made, times, 6) == 1


def test_a_lease_that_ended_just_now_is_not_overdue(db: None) -> None:
    attempt = make_attempt(lease_until=clock.now() - 2 * SECOND)

    assert rescuer.rescue_overdue(Lease().grace, now=clock.now()) == 0
    assert status_of(attempt) == LIVE


def test_a_wrong_clock_of_beat_takes_nothing_over(db: None) -> None:
    attempt = make_attempt(lease_until=clock.now() + 20 * SECOND)

    assert rescuer.rescue_overdue(Lease().grace, now=clock.now() + timedelta(days=1)) == 0
    assert status_of(attempt) == LIVE


def test_a_rescue_closes_the_attempt_and_raises_the_fence(overdue: Attempt) -> None:
    fence = overdue.task.fence

    assert rescuer.rescue_overdue(Lease().grace, now=clock.now()) == 1

    overdue.task.refresh_from_db()
    assert overdue.task.status in {TaskStatus.READY, TaskStatus.FAILED}
    assert overdue.task.fence == fence + 1


def test_the_database_has_a_clock(db: None) -> None:
    assert SystemState.objects.count() == 1
    assert abs(rescuer.database_now() - clock.now()) < timedelta(minutes=1)
