"""A slot that goes on by itself: what it takes next, what it passes over, what it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from jobs.models import DependencyEntry, Job, ScheduleExpression, WorkerGroup
from jobs.rules.enums import ExpressionKind, JobStatus
from tasks_app import claims, planner, runner
from tasks_app.models import Event, SystemState, Task
from tasks_app.rules.states import AttemptStatus, Finder, TaskStatus
from tasks_app.rules.timing import Lease
from tasks_app.turns import Finished, Turn, leaving
from tests.builders import NOW, make_app, make_job, make_task
from tests.engine import status_of

pytestmark = pytest.mark.django_db

S = TaskStatus
MINUTE = timedelta(minutes=1)
LATER = NOW + timedelta(hours=1)


def next_one(group_id: int = 1) -> int | None:
    """Have a slot take the next task of a group; return which that was."""
    return runner.run_next(Turn(group_id), worker="w1", clock=lambda: LATER).task_id


def ready(**words: Any) -> Task:
    return make_task(**{"ready_at": NOW} | words)


def test_the_next_is_the_one_that_would_be_rung_first() -> None:
    """D-82."""
    late, early = ready(ready_at=NOW + MINUTE), ready()
    urgent = ready(ready_at=NOW + 2 * MINUTE, priority=9)

    assert [next_one() for _ in range(4)] == [urgent.pk, early.pk, late.pk, None]
    assert {status_of(task) for task in (late, early, urgent)} == {S.SUCCESS}


def paused_job() -> None:
    ready(priority=9, job=make_job(status=JobStatus.PAUSED.value))


def disabled_app() -> None:
    ready(priority=9, job=make_job(app=make_app(is_enabled=False)))


def full_app() -> None:
    full = make_app(max_concurrency=1)
    make_task(S.RUNNING, job=make_job(app=full))
    ready(priority=9, job=make_job(app=full))


def busy_serial_job() -> None:
    serial = make_job(is_serial=True)
    make_task(S.RUNNING, job=serial)
    ready(priority=9, job=serial)


def expired() -> None:
    ready(priority=9, expires_at=LATER)


def waiting_for_its_next_try() -> None:
    ready(priority=9, ready_at=LATER + MINUTE)


def of_another_group() -> None:
    ready(priority=9, worker_group_id=WorkerGroup.objects.create(name="other").pk)


@pytest.mark.parametrize(
    "one_that_may_not_start",
    [
        paused_job,
        disabled_app,
        full_app,
        busy_serial_job,
        expired,
        waiting_for_its_next_try,
        of_another_group,
    ],
)
def test_what_may_not_start_is_passed_over(one_that_may_not_start: Callable[[], None]) -> None:
    one_that_may_not_start()
    plain = ready()

    assert [next_one(), next_one()] == [plain.pk, None]


def test_an_app_at_its_limit_goes_on_with_one_at_a_time() -> None:
    """D-80."""
    limited = make_app(max_concurrency=1)
    tasks = [ready(job=make_job(app=limited)) for _ in range(2)]

    assert [next_one(), next_one()] == [task.pk for task in tasks]


def test_nothing_is_taken_in_a_paused_system() -> None:
    """D-60."""
    ready()
    SystemState.objects.update(is_paused=True)

    assert next_one() is None


def test_nothing_is_taken_in_a_disabled_group() -> None:
    """D-81."""
    ready()
    WorkerGroup.objects.update(is_enabled=False)

    assert next_one() is None


@pytest.fixture
def stopping() -> Iterator[None]:
    """A process that is to end."""
    runner.shut_down()
    yield
    leaving.clear()


def test_a_process_that_stops_begins_nothing_new(stopping: None) -> None:
    task = ready()

    assert next_one() is None
    assert status_of(task) is S.READY


def test_a_bell_that_comes_too_early_tells_how_long_to_wait() -> None:
    """X-6: so that Celery retries the very message of the task that failed elsewhere."""
    task = ready(ready_at=LATER + MINUTE, job=make_job(max_retries=3))

    finished = runner.run(task.pk, worker="w1", clock=lambda: LATER)

    assert finished == Finished(retry_in=MINUTE, max_retries=3)


def test_a_bell_that_comes_too_late_does_nothing() -> None:
    """I13."""
    task = ready()
    next_one()

    assert runner.run(task.pk, worker="w1", clock=lambda: LATER) == Finished()
    assert Task.objects.get(pk=task.pk).attempt_count == 1


def test_a_failure_with_tries_left_says_when_the_next_is() -> None:
    """X-6."""
    words = {"extra": {"exitCode": 1}, "max_retries": 1, "retry_interval": MINUTE}
    task = ready(job=make_job(**words))

    finished = runner.run_next(Turn(1), worker="w1", clock=lambda: LATER)

    assert (finished.task_id, finished.retry_in, finished.max_retries) == (task.pk, MINUTE, 1)


# -- who waits for it --------------------------------------------------------------------------


def nobody(job: Job) -> None:
    """Leave the job without anybody who waits for it."""


def a_dependent(job: Job) -> None:
    DependencyEntry.objects.create(job=make_job(), upstream=job)


def its_own_next_run(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(is_serial=True)


def a_delay(job: Job) -> None:
    words = {"kind": ExpressionKind.DELAY.value, "text": "PT5M", "anchor_at": NOW, "floor_at": NOW}
    ScheduleExpression.objects.create(job=job, **words)


@pytest.mark.parametrize(
    ("waits", "is_awaited"),
    [(nobody, False), (a_dependent, True), (its_own_next_run, True), (a_delay, True)],
)
@pytest.mark.parametrize("is_rung", [True, False], ids=["rung", "taken"])
def test_a_run_tells_whether_its_end_is_awaited(
    waits: Callable[[Job], None], is_awaited: bool, is_rung: bool
) -> None:
    """X-7: only then the worker carries the event on by itself."""
    task = ready()
    waits(task.job)
    work = partial(runner.run, task.pk) if is_rung else partial(runner.run_next, Turn(1))

    assert work(worker="w1", clock=lambda: LATER).is_awaited is is_awaited


def test_of_a_long_run_one_says_that_it_is_awaited() -> None:
    """Somebody may have come to depend on it since it was claimed."""
    task = ready()
    times = iter([LATER, LATER + MINUTE])

    assert runner.run(task.pk, worker="w1", clock=lambda: next(times)).is_awaited


def test_ends_that_nobody_awaits_are_carried_on_together(
    django_assert_max_num_queries: Callable[[int], object],
) -> None:
    """X-8: their events are marked, and cost no look at a job."""
    for _ in range(20):
        ready()
    while next_one():
        pass
    assert Event.objects.filter(processed_at=None).count() == 20

    with django_assert_max_num_queries(3):  # type: ignore[attr-defined]
        assert planner.process_events(by=Finder.TRIGGER, now=LATER) == 20

    assert not Event.objects.filter(processed_at=None).exists()


# -- the start -----------------------------------------------------------------------------------


def test_an_attempt_without_a_process_starts_with_its_claim() -> None:
    claimed = claims.claim(ready().pk, worker="w1", lease=Lease(), now=LATER, starts=True)

    assert claimed is not None
    assert (claimed.status, claimed.started_at) == (AttemptStatus.RUNNING, LATER)


def test_an_attempt_with_a_process_is_claimed_first_and_started_then() -> None:
    """3-execution.md 3: what is lost in between has not run, and costs no try."""
    task = ready(job=make_job(job_type="shell"))

    claimed = claims.claim(task.pk, worker="w1", lease=Lease(), now=LATER, starts=True)

    assert claimed is not None
    assert (claimed.status, claimed.started_at) == (AttemptStatus.STARTING, None)
