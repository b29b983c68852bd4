"""The verbs that move statuses, from every status, and the trigger below them (X-1, X-3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from jobs.rules.enums import JobStatus
from logs_app.models import Stream
from tasks_app import transitions
from tasks_app.models import Attempt, Event, Task
from tasks_app.rules.states import (
    ALLOWED,
    ALLOWED_ATTEMPT,
    FINAL,
    LIVE,
    AttemptStatus,
    Reason,
    TaskKind,
    TaskStatus,
)
from tasks_app.transitions import Ending, Opening
from tests.builders import NOW, make_attempt, make_job, make_task
from tests.engine import ANN, begin, status_of

pytestmark = pytest.mark.django_db

S = TaskStatus
A = AttemptStatus
SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(hours=1)

Verb = Callable[[Task], object]

#: verb: what it does to a task, and the status it ends in from each status it moves from.
MOVES: dict[str, tuple[Verb, dict[TaskStatus, TaskStatus]]] = {
    "release": (lambda t: transitions.release(t, now=LATER), {S.WAITING: S.READY}),
    "claim": (
        lambda t: transitions.claim(t, worker="w", lease_until=LATER, now=LATER),
        {S.READY: S.RUNNING},
    ),
    "kill": (
        lambda t: transitions.kill(t, user=ANN, now=LATER),
        # A running one is only asked to stop.
        {S.WAITING: S.KILLED, S.READY: S.KILLED, S.RUNNING: S.RUNNING},
    ),
    "remove": (
        lambda t: transitions.remove(t, user=ANN, now=LATER),
        {
            S.WAITING: S.REMOVED,
            S.READY: S.REMOVED,
            S.FAILED: S.REMOVED,
            S.KILLED: S.REMOVED,
            S.RUNNING: S.RUNNING,
        },
    ),
    "retry": (
        lambda t: transitions.retry(t, user=ANN, now=LATER),
        {S.FAILED: S.READY, S.KILLED: S.READY},
    ),
    "force success": (
        lambda t: transitions.force(t, S.SUCCESS, user=ANN, text="", now=LATER),
        dict.fromkeys((S.WAITING, S.READY, S.RUNNING, S.FAILED, S.KILLED), S.SUCCESS),
    ),
    "force failed": (
        lambda t: transitions.force(t, S.FAILED, user=ANN, text="", now=LATER),
        dict.fromkeys((S.WAITING, S.READY, S.RUNNING, S.KILLED), S.FAILED),
    ),
    "expire": (
        lambda t: transitions.expire(t, now=LATER),
        {S.WAITING: S.FAILED, S.READY: S.FAILED},
    ),
}


#: Whether a failure is forced once more or left as it is makes no difference to the row.
PAIRS = [pair for pair in product(MOVES, S) if pair != ("force failed", S.FAILED)]


@pytest.mark.parametrize(("verb", "status"), PAIRS)
def test_a_verb_moves_from_its_statuses_and_from_no_other(verb: str, status: TaskStatus) -> None:
    # From elsewhere its answer is no, and nothing has changed: somebody else was first.
    act, targets = MOVES[verb]
    task = Task.objects.select_related("job").get(
        pk=make_task(status, expires_at=NOW + timedelta(minutes=30)).pk
    )
    before = Task.objects.values().get(pk=task.pk)

    answer = act(task)

    assert bool(answer) is (status in targets)
    assert status_of(task) is targets.get(status, status)
    if not answer:
        assert Task.objects.values().get(pk=task.pk) == before


@pytest.mark.parametrize("status", S)
def test_a_ring_stamps_what_is_ready_and_nothing_else(status: TaskStatus) -> None:
    """X-4."""
    task = make_task(status)

    transitions.ring([task.pk], now=LATER)

    task.refresh_from_db()
    assert (task.rung_at is not None) is (status is S.READY)
    assert status_of(task) is status


@pytest.mark.parametrize(("verb", "status"), [(v, s) for v, (_, m) in MOVES.items() for s in m])
def test_what_may_let_others_go_leaves_an_event(verb: str, status: TaskStatus) -> None:
    """X-8: in the same transaction, so that no wake-up is lost."""
    act, targets = MOVES[verb]
    task = make_task(status, expires_at=NOW)
    Event.objects.all().delete()

    act(task)

    if targets[status] in FINAL:
        assert Event.objects.filter(task=task, job=task.job, processed_at=None).exists()


# -- attempts --------------------------------------------------------------------------------------


def ending(status: AttemptStatus = A.SUCCESS, **words: Any) -> Ending:
    return Ending(status=status, **words)


ENDS: dict[str, Callable[[Attempt], object]] = {
    "settle success": lambda a: transitions.settle(a, ending(), now=LATER),
    "settle failed": lambda a: transitions.settle(a, ending(A.FAILED), now=LATER),
    "settle killed": lambda a: transitions.settle(a, ending(A.KILLED), now=LATER),
    "rescue": lambda a: transitions.rescue(a, ending(A.LOST), now=LATER),
    "hand back": lambda a: transitions.hand_back(a, ending(A.LOST), now=LATER),
}


@pytest.mark.parametrize(("verb", "status"), list(product(ENDS, sorted(set(A) - LIVE))))
def test_an_ended_attempt_reports_in_vain(verb: str, status: AttemptStatus) -> None:
    """X-3: whatever it reports, its task and what it left stay as they are."""
    attempt = make_attempt(status)
    before = Task.objects.values().get(pk=attempt.task_id)

    assert not ENDS[verb](attempt)

    assert Task.objects.values().get(pk=attempt.task_id) == before
    assert Attempt.objects.get(pk=attempt.pk).status == status


@pytest.mark.parametrize("verb", ENDS)
def test_an_end_closes_the_attempt_and_both_of_its_streams(verb: str) -> None:
    """X-31."""
    attempt = make_attempt()

    assert ENDS[verb](attempt)

    attempt.refresh_from_db()
    assert attempt.status not in LIVE
    assert attempt.ended_at == LATER
    assert Stream.objects.filter(attempt_id=attempt.pk, closed_at__isnull=False).count() == 2


def test_success_ends_the_task() -> None:
    attempt = make_attempt()

    transitions.settle(attempt, ending(exit_code=0), now=LATER)

    task = Task.objects.get(pk=attempt.task_id)
    assert (task.status, task.ended_at, task.reason) == (S.SUCCESS, LATER, "")


def test_a_failure_waits_out_its_interval_as_ready() -> None:
    """D-2, X-6: a poller must not see a failure that is not final."""
    job = make_job(max_retries=1, retry_interval=timedelta(minutes=5))
    attempt = make_attempt(task=make_task(S.RUNNING, job=job, attempt_count=0))

    transitions.settle(attempt, ending(A.FAILED), now=LATER)

    task = Task.objects.get(pk=attempt.task_id)
    assert (task.status, task.ready_at) == (S.READY, LATER + timedelta(minutes=5))
    assert (task.reason, task.ended_at) == (Reason.RETRY_WAIT, None)


@pytest.mark.parametrize("max_retries", [0, 1, 2])
def test_there_are_as_many_tries_as_the_job_allows(max_retries: int) -> None:
    """X-6, I6."""
    job = make_job(max_retries=max_retries, retry_interval=SECOND)
    task = make_task(job=job, ready_at=NOW)
    now = NOW
    while status_of(task) is S.READY:
        transitions.settle(begin(task, now=now), ending(A.FAILED), now=now)
        now += SECOND

    assert status_of(task) is S.FAILED
    assert Attempt.objects.filter(task=task).count() == 1 + max_retries


@pytest.mark.parametrize("status", [JobStatus.DISABLED, JobStatus.TRASHED])
def test_a_failure_in_a_job_that_is_off_is_final(status: JobStatus) -> None:
    """D-56."""
    attempt = make_attempt(
        task=make_task(S.RUNNING, job=make_job(max_retries=5, status=status), attempt_count=0)
    )

    transitions.settle(attempt, ending(A.FAILED), now=LATER)

    assert status_of(attempt.task) is S.FAILED


@pytest.mark.parametrize("status", [JobStatus.DISABLED, JobStatus.TRASHED])
@pytest.mark.parametrize("how", ["hand back", "rescue"])
def test_no_task_is_left_ready_in_a_job_that_is_off(how: str, status: JobStatus) -> None:
    """D-56, I7: nobody would start it, nothing would expire it, and it was not to start again."""
    task = make_task(S.RUNNING, job=make_job(status=status), attempt_count=0)
    attempt = make_attempt(A.STARTING, task=task, started_at=None)

    ENDS[how](attempt)

    assert status_of(task) in FINAL


def test_a_lost_attempt_that_had_started_counts() -> None:
    """3-execution.md 3."""
    attempt = make_attempt()

    transitions.rescue(attempt, ending(A.LOST, reason=Reason.LOST), now=LATER)

    assert status_of(attempt.task) is S.FAILED


def test_one_that_never_started_is_free_five_times_and_then_poison() -> None:
    """3-execution.md 3."""
    task = make_task(ready_at=NOW)
    seen = []
    while status_of(task) is S.READY:
        task = Task.objects.select_related("job").get(pk=task.pk)
        attempt = transitions.claim(task, worker="w", lease_until=NOW, now=NOW)
        assert attempt is not None
        transitions.rescue(attempt, ending(A.LOST), now=NOW)
        task.refresh_from_db()
        seen.append((status_of(task), task.tries_used))

    assert seen == [(S.READY, 0)] * 5 + [(S.FAILED, 0)]
    assert task.reason == Reason.POISON


def test_a_shut_down_worker_hands_back_for_nothing() -> None:
    """3-execution.md 4."""
    attempt = make_attempt()

    transitions.hand_back(attempt, ending(A.LOST, reason=Reason.SHUTDOWN), now=LATER)

    task = Task.objects.get(pk=attempt.task_id)
    assert (task.status, task.ready_at, task.tries_used) == (S.READY, LATER, 0)


@pytest.mark.parametrize("verb", ["settle failed", "settle killed", "rescue", "hand back"])
def test_what_was_asked_to_stop_ends_killed(verb: str) -> None:
    """D-53: no automatic retry, whatever the budget."""
    task = make_task(S.RUNNING, job=make_job(max_retries=3), attempt_count=0)
    attempt = make_attempt(task=task)
    transitions.kill(task, user=ANN, now=NOW)

    ENDS[verb](attempt)

    assert status_of(task) is S.KILLED


def test_success_that_was_first_beats_the_kill() -> None:
    """3-execution.md 4: whoever commits first wins."""
    attempt = make_attempt()
    transitions.settle(attempt, ending(), now=NOW)

    assert not transitions.kill(attempt.task, user=ANN, now=LATER)
    assert status_of(attempt.task) is S.SUCCESS


def test_a_running_task_that_is_removed_is_killed_first() -> None:
    """D-54."""
    attempt = make_attempt()
    transitions.remove(attempt.task, user=ANN, now=NOW)
    assert status_of(attempt.task) is S.RUNNING

    transitions.settle(attempt, ending(A.KILLED), now=LATER)

    assert status_of(attempt.task) is S.REMOVED
    assert Attempt.objects.get(pk=attempt.pk).status == A.KILLED


def test_a_kill_that_is_not_proved_says_so() -> None:
    """D-53."""
    attempt = make_attempt()
    transitions.kill(attempt.task, user=ANN, now=NOW)

    unproved = ending(A.KILLED, reason=Reason.KILL_UNCONFIRMED, text="a process is left")
    transitions.settle(attempt, unproved, now=LATER)

    task = Task.objects.get(pk=attempt.task_id)
    assert (task.status, task.reason) == (S.KILLED, Reason.KILL_UNCONFIRMED)


def test_what_may_still_run_is_not_tried_again() -> None:
    """I9: its timeout ended the attempt, and not every process of it."""
    attempt = make_attempt(task__job__max_retries=3)

    unproved = ending(A.FAILED, reason=Reason.KILL_UNCONFIRMED, text="a process is left")
    transitions.settle(attempt, unproved, now=LATER)

    task = Task.objects.get(pk=attempt.task_id)
    assert (task.status, task.reason) == (S.FAILED, Reason.KILL_UNCONFIRMED)


def test_a_forced_status_closes_the_attempt_and_fences_it() -> None:
    """D-52, X-3."""
    attempt = make_attempt()
    fence = attempt.task.fence

    transitions.force(attempt.task, S.SUCCESS, user=ANN, text="by hand", now=NOW)

    assert not transitions.start(attempt, now=LATER)
    assert transitions.settle(attempt, ending(A.FAILED), now=LATER) is None
    task = Task.objects.get(pk=attempt.task_id)
    assert (task.status, task.reason_text) == (S.SUCCESS, "by hand")
    assert task.fence > fence


def test_an_operators_retry_starts_the_budget_afresh_and_never_expires() -> None:
    """D-50, D-24."""
    task = make_task(S.FAILED, tries_used=3, expires_at=NOW, job=make_job(max_retries=3))

    transitions.retry(task, user="ben", now=LATER)

    task.refresh_from_db()
    assert (task.tries_used, task.expires_at, task.execute_user) == (0, None, "ben")
    assert (task.ended_at, task.is_asked, task.ready_at) == (None, True, LATER)
    assert not transitions.expire(task, now=LATER + timedelta(days=9))


def test_a_task_that_was_tried_does_not_expire() -> None:
    """D-24: a retry-wait does not expire."""
    task = make_task(S.READY, attempt_count=0, expires_at=NOW)
    Task.objects.filter(pk=task.pk).update(attempt_count=1)

    assert not transitions.expire(task, now=LATER)


def test_the_fence_grows_with_every_claim_and_take_over() -> None:
    """X-3."""
    task = make_task(ready_at=NOW, job=make_job(max_retries=9, retry_interval=timedelta(0)))
    fences = [task.fence]
    for end in ("settle failed", "rescue", "hand back", "settle failed"):
        attempt = begin(task, now=LATER)
        assert attempt.fence > fences[-1]
        fences.append(attempt.fence)
        ENDS[end](attempt)
        fences.append(Task.objects.values_list("fence", flat=True).get(pk=task.pk))

    assert fences == sorted(fences)


# -- opening ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [TaskKind.SCHEDULE, TaskKind.TEMP])
def test_a_slot_that_has_its_task_stays_as_it_is(kind: TaskKind) -> None:
    """D-21, I1."""
    job = make_job()
    opening = Opening(job=job, due_at=NOW, kind=kind, status=S.READY)
    transitions.open_tasks([opening], now=NOW)
    Task.objects.filter(job=job).update(execute_user="somebody")

    transitions.open_tasks([opening, opening], now=LATER)

    (task,) = Task.objects.filter(job=job)
    assert (task.execute_user, task.opened_at) == ("somebody", NOW)


@pytest.mark.parametrize("kind", [TaskKind.SCHEDULE, TaskKind.TEMP])
def test_a_second_task_of_a_slot_breaks_a_constraint(kind: TaskKind) -> None:
    """X-2."""
    opening = Opening(job=make_job(), due_at=NOW, kind=kind)
    transitions.open_task(opening, now=NOW)

    with pytest.raises(IntegrityError), transaction.atomic():
        transitions.open_task(opening, now=NOW)


def test_a_second_live_attempt_breaks_a_constraint() -> None:
    """X-2, I2."""
    task = make_attempt().task

    with pytest.raises(IntegrityError), transaction.atomic():
        make_attempt(task=task, number=2)


# -- the trigger -----------------------------------------------------------------------------------


def test_every_task_edge_that_is_not_listed_is_refused_by_the_database() -> None:
    for source, target in product(S, S):
        stamps = {"status": target.value, "ended_at": NOW if target in FINAL else None}
        row = Task.objects.filter(pk=make_task(source).pk)

        allowed = source is target or target in ALLOWED[source]
        assert _is_written(row, stamps) is allowed, (source.name, target.name)


def test_every_attempt_edge_that_is_not_listed_is_refused_by_the_database() -> None:
    for source, target in product(A, A):
        row = Attempt.objects.filter(pk=make_attempt(source).pk)

        allowed = source is target or target in ALLOWED_ATTEMPT[source]
        assert _is_written(row, {"status": target.value}) is allowed, (source, target)


@pytest.mark.parametrize("status", S)
def test_a_fence_never_falls(status: TaskStatus) -> None:
    """X-3, I3."""
    task = make_task(status, fence=7)
    row = Task.objects.filter(pk=task.pk)

    assert not _is_written(row, {"fence": 6})
    assert _is_written(row, {"fence": 7})
    assert _is_written(row, {"fence": 8})


def test_the_fence_of_an_attempt_never_falls() -> None:
    row = Attempt.objects.filter(pk=make_attempt(fence=7).pk)

    assert not _is_written(row, {"fence": 6})


def _is_written(row: Any, stamps: dict[str, Any]) -> bool:
    try:
        with transaction.atomic():
            return bool(row.update(**stamps))
    except DatabaseError:
        return False


def test_what_happened_to_a_task_is_noted_with_its_author(now: datetime) -> None:
    """D-74: and the ends that the verbs take back."""
    task = make_task(S.FAILED)

    transitions.retry(task, user="ben", now=now)
    transitions.kill(task, user="eve", now=now)
    transitions.remove(task, user="kim", now=now)

    told = list(task.notes.order_by("pk").values_list("fact", "user"))
    assert told == [
        ("failed", ""),
        ("retry", "ben"),
        ("kill", "eve"),
        ("killed", ""),
        ("remove", "kim"),
    ]
