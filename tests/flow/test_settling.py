"""One transaction ends a task and claims the next (ADR 0052), and the end never waits for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from pytest_django.fixtures import Settings

from jobs.models import DependencyEntry
from logs_app import store
from logs_app.models import Stream, StreamKind
from sentinel_project import clock
from tasks_app import celery_tasks, claims, reports, runner, transitions
from tasks_app.executors.base import Ending, Outcome
from tasks_app.models import Attempt, Event, Task
from tasks_app.rules.states import AttemptStatus, Reason, TaskStatus
from tasks_app.rules.timing import Lease
from tasks_app.settling import report
from tasks_app.turns import Finished, Slot, Turn, leaving
from tests.builders import NOW, make_job, make_task
from tests.engine import status_of

pytestmark = pytest.mark.usefixtures("committed_db", "spelled_statements", "work_dir")

S = TaskStatus
DONE = Outcome(Ending.SUCCESS, 0, None, "Ended with exit code 0.")
LATER = NOW + timedelta(hours=1)
ENDLESS = Turn(1, ends_at=math.inf)


@pytest.fixture
def work_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.SENTINEL_WORK_DIR = tmp_path
    return tmp_path


def kept(work_dir: Path) -> list[bytes]:
    """Return the ends that are kept ahead of their report."""
    return [text for path in (work_dir / "ended").iterdir() if (text := path.read_bytes())]


def ready(**words: Any) -> Task:
    return make_task(**{"ready_at": NOW} | words)


def run(task: Task, turn: Turn | None = ENDLESS) -> Finished:
    return runner.run(task.pk, worker="w1", clock=lambda: LATER, turn=turn)


class Course:
    """One attempt that has run, and is to be reported."""

    def __init__(self, *, turn: Turn | None = ENDLESS, **words: Any) -> None:
        self.task = ready(**words)
        self.slot = Slot("w1", lambda: LATER, Lease(), turn)
        claimed = claims.claim(self.task.pk, worker="w1", lease=Lease(), now=LATER, starts=True)
        assert claimed is not None
        self.attempt = claimed
        self.writer = store.Writer(claimed.pk, fence=claimed.fence)

    def report(self, outcome: Outcome = DONE) -> Finished:
        return report(self.attempt, outcome, self.writer, self.slot)


class Commits:
    """How often was committed; of the one after the first ``fine`` the answer is lost."""

    def __init__(self) -> None:
        self.count = 0
        self.fine = math.inf
        self.arrives = False

    def __call__(self, commit: Callable[[], None]) -> None:
        self.count += 1
        if self.count > self.fine:
            self.fine = math.inf
            if self.arrives:
                commit()
            raise OperationalError("the connection was lost")
        commit()


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Commits:
    """The connection's own, which may lose its answer or never arrive."""
    counted, own = Commits(), connections["default"]
    commit = getattr(own, "_commit")  # noqa: B009 -- it is Django's own affair
    monkeypatch.setattr(own, "_commit", lambda: counted(commit))
    return counted


@pytest.fixture
def stopped_later() -> Iterator[None]:
    """Whoever asks for it sets ``leaving`` in the course of the test."""
    yield
    leaving.clear()


@pytest.fixture
def stopping(stopped_later: None) -> None:
    leaving.set()


def test_a_turn_costs_one_commit_a_task(commits: Commits) -> None:
    tasks = [ready() for _ in range(5)]
    before = commits.count

    finished = run(tasks[0])

    assert [status_of(task) for task in tasks] == [S.SUCCESS] * 5
    assert (finished.task_id, finished.is_last) == (tasks[-1].pk, True)
    assert commits.count - before == 1 + len(tasks), "the first claim, then one for each end"


@pytest.mark.usefixtures("spelled_statements")
def test_a_turn_costs_few_statements_a_task() -> None:
    """Looked for, claimed, ended: one each on PostgreSQL, one for each table on SQLite."""
    counts = [statements_of(count) for count in (2, 5)]

    each = 3 if connection.vendor == "postgresql" else 7
    assert counts[1] - counts[0] == 3 * each


def statements_of(count: int) -> int:
    """Return how many statements as many tasks in one turn cost."""
    tasks = [ready() for _ in range(count)]
    sent: list[str] = []

    def note(execute: Callable[..., object], sql: str, *rest: Any) -> object:
        sent.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        assert run(tasks[0]).is_last
    return sum(not sql.startswith("BEGIN") for sql in sent)


def test_each_of_them_has_its_own_attempt_event_and_streams() -> None:
    tasks = [ready() for _ in range(3)]

    run(tasks[0])

    assert set(Attempt.objects.values_list("task_id", "number", "fence", "status")) == {
        (task.pk, 1, 1, AttemptStatus.SUCCESS.value) for task in tasks
    }
    assert set(Event.objects.values_list("task_id", flat=True)) == {task.pk for task in tasks}
    assert Stream.objects.filter(closed_at=None).count() == 0
    assert Stream.objects.count() == 2 * len(tasks)


# -- when nothing is claimed along -----------------------------------------------------------------


def a_dependent(task: Task) -> None:
    DependencyEntry.objects.create(job=make_job(), upstream=task.job)


def test_an_end_that_is_awaited_comes_alone_so_that_its_dependents_come_first() -> None:
    """X-7."""
    task, following = ready(), ready()
    a_dependent(task)

    finished = run(task)

    assert (finished.task_id, finished.is_awaited, finished.is_last) == (task.pk, True, False)
    assert status_of(following) is S.READY


@pytest.mark.parametrize("turn", [None, Turn(1)], ids=["without a turn", "its turn is over"])
def test_nothing_is_claimed_beyond_a_turn(turn: Turn | None) -> None:
    task, following = ready(), ready()

    assert run(task, turn).task_id == task.pk
    assert status_of(following) is S.READY


def test_a_process_that_stops_claims_nothing_along(stopping: None) -> None:
    task, following = ready(), ready()

    assert run(task).task_id == task.pk
    assert (status_of(task), status_of(following)) == (S.SUCCESS, S.READY)


def test_a_failure_comes_alone_so_that_its_retry_can_be_rung() -> None:
    """X-6."""
    task = ready(job=make_job(extra={"exitCode": 1}, max_retries=1))
    following = ready()

    finished = run(task)

    assert (finished.task_id, finished.retry_in is not None) == (task.pk, True)
    assert status_of(following) is S.READY


def test_a_failure_within_a_turn_rings_its_own_bell_and_the_turn_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """X-6: the message of the turn was for another task, and is not the one to be retried."""
    heard: list[int] = []
    monkeypatch.setattr(celery_tasks, "publish", lambda bell: heard.append(bell.task_id))
    now = clock.now()
    words = {"extra": {"exitCode": 1}, "max_retries": 1, "retry_interval": timedelta(minutes=1)}
    first, failing, last = (
        ready(ready_at=now - timedelta(seconds=3 - n), job=make_job(**(words if n == 1 else {})))
        for n in range(3)
    )

    done = celery_tasks.run_task.apply(args=(first.pk, 1))

    assert done.state == "SUCCESS"
    assert [status_of(task) for task in (first, failing, last)] == [S.SUCCESS, S.READY, S.SUCCESS]
    assert heard == [failing.pk]


def test_a_stale_end_keeps_nobody_from_the_next() -> None:
    """X-3: the attempt was taken over, and the slot goes on."""
    course, following = Course(), ready()
    lost = transitions.Ending(status=AttemptStatus.LOST, reason=Reason.LOST, text="silent")
    transitions.rescue(course.attempt, lost, now=LATER)

    finished = course.report()

    assert (finished.task_id, finished.is_last) == (course.task.pk, False)
    assert runner.run_next(ENDLESS, worker="w1", clock=lambda: LATER).task_id == following.pk
    assert status_of(following) is S.SUCCESS


def test_a_stale_end_with_output_keeps_nobody_from_the_next() -> None:
    """X-3: what it printed is refused, which is how it learns of it."""
    course, following = Course(), ready()
    course.writer.result(b"too late")
    lost = transitions.Ending(status=AttemptStatus.LOST, reason=Reason.LOST, text="silent")
    transitions.rescue(course.attempt, lost, now=LATER)

    assert not course.report().is_last
    assert status_of(following) is S.READY


# -- when the claim fails --------------------------------------------------------------------------


class Refusing:
    """Refuses the ``left`` next statements with such words, as sent or as prepared."""

    def __init__(self, words: str, left: int, error: type[Exception]) -> None:
        self.words, self.left, self.error = words, left, error

    def __call__(self, execute: Callable[..., object], sql: str, *rest: Any) -> object:
        if self.left and self.words in sql:
            self.left -= 1
            raise self.error("no")
        return execute(sql, *rest)


THE_NEXT, AN_ATTEMPT = 'FROM "tasks_app_task"', 'INSERT INTO "tasks_app_attempt"'
AN_EVENT = 'INSERT INTO "tasks_app_event"'


@pytest.mark.parametrize("error", [OperationalError, ValueError])
@pytest.mark.parametrize("words", [THE_NEXT, AN_ATTEMPT])
def test_an_end_is_settled_alone_if_the_claim_fails(
    words: str, error: type[Exception], work_dir: Path
) -> None:
    course, following = Course(), ready()
    refusing = Refusing(words, 1, error)

    with connection.execute_wrapper(refusing):
        finished = course.report()

    assert refusing.left == 0
    assert (finished.task_id, finished.follower, finished.is_last) == (course.task.pk, None, False)
    assert (status_of(course.task), status_of(following)) == (S.SUCCESS, S.READY)
    assert kept(work_dir) == []


def test_what_was_printed_last_is_kept_whole_if_the_claim_fails() -> None:
    """X-30: the first try wrote it, and was taken back."""
    course = Course()
    ready()
    course.writer.result(b"the last words")

    with connection.execute_wrapper(Refusing(AN_ATTEMPT, 1, OperationalError)):
        course.report()

    whole = store.read_all(course.attempt.pk, StreamKind.RESULT)
    assert (whole.text, whole.is_end) == ("the last words", True)


def test_an_error_of_the_end_itself_is_raised_as_before() -> None:
    course = Course()

    with (
        connection.execute_wrapper(Refusing(AN_EVENT, 2, ValueError)),
        pytest.raises(ValueError, match="no"),
    ):
        course.report()

    assert status_of(course.task) is S.RUNNING


# -- when the commit's answer is lost --------------------------------------------------------------


@pytest.mark.parametrize("arrives", [True, False], ids=["it was committed", "it was not"])
def test_a_claim_that_nobody_knows_of_is_handed_back_and_costs_no_try(
    commits: Commits, work_dir: Path, *, arrives: bool
) -> None:
    """X-3: it may be there, with a lease, and no process that runs it."""
    course, following = Course(), ready()
    commits.fine, commits.arrives = commits.count, arrives

    finished = course.report()

    assert (finished.task_id, finished.follower) == (course.task.pk, None)
    assert status_of(course.task) is S.SUCCESS
    following.refresh_from_db()
    assert (following.status, following.tries_used, following.free_requeues) == (S.READY, 0, 0)
    attempts = following.attempts.values_list("status", "reason")
    assert list(attempts) == ([("LOST", "SHUTDOWN")] if arrives else [])
    assert kept(work_dir) == []
    assert Event.objects.filter(task=course.task).count() == 1
    assert runner.run_next(ENDLESS, worker="w1", clock=lambda: LATER).task_id == following.pk
    assert status_of(following) is S.SUCCESS


def test_a_process_that_stops_in_doubt_leaves_both_to_another_one(
    commits: Commits, work_dir: Path, stopped_later: None
) -> None:
    """It has lost the database, and is to end before it is back."""
    course, following = Course(), ready()
    commits.fine, commits.arrives = commits.count, True

    def gone(execute: Callable[..., object], *rest: Any) -> object:
        if math.isfinite(commits.fine):
            return execute(*rest)
        leaving.set()
        raise OperationalError("no route to host")

    with connection.execute_wrapper(gone):
        assert course.report() == Finished()

    assert status_of(following) is S.RUNNING
    assert reports.report_left(work_dir, now=LATER) == 1, "the end itself had been committed"
    assert (status_of(course.task), status_of(following)) == (S.SUCCESS, S.READY)
    assert Task.objects.get(pk=following.pk).tries_used == 0
    assert kept(work_dir) == []
