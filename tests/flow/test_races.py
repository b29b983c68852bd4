"""Races: real connections on PostgreSQL, many rounds; nothing is missed and nothing doubled."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db.models import QuerySet

from jobs.models import App, DependencyEntry, Job, ScheduleExpression, WorkerGroup
from jobs.rules.enums import Edit
from jobs.rules.spec import DependencyEdit
from jobs.services import set_dependencies
from sentinel_project import clock
from sentinel_project.errors import SentinelError
from tasks_app import ledger, planner, runner, services, transitions
from tasks_app.models import Attempt, Event, Gap, Task
from tasks_app.rules.states import Finder, TaskKind, TaskStatus
from tasks_app.transitions import Opening
from tasks_app.turns import Finished, Turn
from tests.builders import make_app
from tests.engine import (
    ANN,
    after,
    begin,
    claim,
    cron,
    in_threads,
    status_of,
    submit,
    task_of,
    tick,
)
from tests.flow.races import DUE, ROUNDS, START, a_name, finish, scheduled

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("verified_postgres")]

S = TaskStatus


@pytest.mark.parametrize("count", [2, 3])
def test_upstreams_that_end_in_one_instant_release_their_dependents_once(
    app: App, count: int
) -> None:
    """D-37, X-8, I11: two dependents a round, one with a schedule and one that is named."""
    for _ in range(ROUNDS):
        upstreams = [scheduled(app) for _ in range(count)]
        edges = tuple(after(upstream) for upstream in upstreams)
        timed, named = (
            scheduled(app, dependencies=edges),
            scheduled(app, dependencies=edges, schedule=()),
        )
        tick(DUE)
        attempts = [begin(task_of(upstream, DUE), now=DUE) for upstream in upstreams]

        in_threads(*(partial(finish, attempt) for attempt in attempts))

        for job in (timed, named):
            (task,) = Task.objects.filter(job=job)
            assert (S(task.status), task.due_at) == (S.READY, DUE)


def test_an_upstream_ends_while_its_dependent_is_being_opened(app: App) -> None:
    """X-8: whichever is first, the other sees it."""
    for _ in range(ROUNDS):
        upstream = scheduled(app)
        tick(DUE)
        attempt = begin(task_of(upstream, DUE), now=DUE)
        dependent = submit(
            app,
            a_name(),
            now=DUE,
            schedule=(cron("0 0 1 * * ?"),),
            dependencies=(after(upstream),),
        )

        in_threads(partial(finish, attempt), partial(planner.open_due, now=DUE))

        # A job that somebody else has locked is left to the next tick.
        tick(DUE)
        assert status_of(task_of(dependent, DUE)) is S.READY


def test_two_planners_open_the_same_slots_once(app: App) -> None:
    """D-21, X-9, I1: five hundred slots of twenty-five jobs."""
    now = START + timedelta(minutes=19)
    jobs = [submit(app, a_name(), now=START, schedule=(cron("* * * * *"),)) for _ in range(25)]

    in_threads(*(partial(planner.open_due, now=now) for _ in range(2)))

    rows = Task.objects.filter(job__in=jobs)
    assert rows.count() == 500
    assert rows.values("job", "due_at").distinct().count() == 500
    assert not Gap.objects.filter(job__in=jobs).exists()
    cursors = ScheduleExpression.objects.filter(job__in=jobs).values_list("next_due_at", flat=True)
    assert set(cursors) == {now + timedelta(minutes=1)}


def test_one_of_many_claims_wins(app: App) -> None:
    """X-1, I2."""
    for _ in range(ROUNDS):
        job = scheduled(app)
        tick(DUE)
        task = task_of(job, DUE)

        won = in_threads(*(partial(claim, task, now=DUE) for _ in range(6)))

        (winner,) = (attempt for attempt in won if attempt is not None)
        task.refresh_from_db()
        assert (S(task.status), task.fence, task.attempt_count) == (S.RUNNING, winner.fence, 1)


def ready_tasks(jobs: list[Job]) -> list[Task]:
    """Open a MANUAL task in each of ``jobs``."""
    return [services.run_now(job.pk, app=job.app, user=ANN, now=DUE) for job in jobs]


def running(tasks: list[Task]) -> int:
    return Task.objects.filter(pk__in=[t.pk for t in tasks], status=S.RUNNING).count()


def test_an_apps_limit_holds_against_concurrent_claims() -> None:
    """D-80."""
    for _ in range(ROUNDS):
        limited = make_app(name=a_name(), max_concurrency=3)
        tasks = ready_tasks([scheduled(limited) for _ in range(8)])

        in_threads(*(partial(claim, task, now=DUE) for task in tasks))

        assert running(tasks) == 3


def test_runs_of_a_serial_job_never_overlap(app: App) -> None:
    """D-40: whatever their kind, and however many workers reach for them."""
    for _ in range(ROUNDS):
        tasks = ready_tasks([scheduled(app, is_serial=True)] * 6)

        in_threads(*(partial(claim, task, now=DUE) for task in tasks))

        assert running(tasks) == 1


def test_a_task_expires_or_runs_and_never_both(app: App) -> None:
    """I14."""
    for _ in range(ROUNDS):
        job = scheduled(app, expire_after=timedelta(seconds=60))
        tick(DUE)
        task = task_of(job, DUE)

        in_threads(
            partial(claim, task, now=DUE),
            partial(planner.expire_due, now=DUE + timedelta(seconds=60)),
        )

        task.refresh_from_db()
        attempts = Attempt.objects.filter(task=task).count()
        assert (S(task.status), attempts) in {(S.RUNNING, 1), (S.FAILED, 0)}


def test_a_dependency_is_dropped_while_the_other_upstream_ends(app: App) -> None:
    """D-37, D-58: neither the edit nor the end may rely on the other to look again."""
    for _ in range(ROUNDS):
        ends, never = scheduled(app), scheduled(app)
        dependent = scheduled(app, dependencies=(after(ends), after(never)))
        tick(DUE)
        attempt = begin(task_of(ends, DUE), now=DUE)
        drop = DependencyEdit(mode=Edit.DELETE, upstream_id=never.pk)

        def edit(job: Job = dependent, drop: DependencyEdit = drop) -> None:
            set_dependencies(job.pk, [drop], app=job.app, user=ANN, now=DUE)
            planner.process_events(by=Finder.TRIGGER, now=DUE)

        in_threads(partial(finish, attempt), edit)

        assert status_of(task_of(dependent, DUE)) is S.READY
        assert not Event.objects.filter(processed_at=None).exists()


def test_a_dependency_is_added_while_its_upstream_ends(app: App) -> None:
    """X-8: an end that nobody awaited a moment ago is seen by whoever waits for it now."""
    for _ in range(ROUNDS):
        upstream, dependent = scheduled(app), scheduled(app, dependencies=(after(scheduled(app)),))
        (other,) = DependencyEntry.objects.filter(job=dependent).values_list("upstream", flat=True)
        tick(DUE)
        attempt = begin(task_of(upstream, DUE), now=DUE)
        change = [after(upstream), DependencyEdit(mode=Edit.DELETE, upstream_id=other)]

        def edit(job: Job = dependent, change: list[DependencyEdit] = change) -> None:
            set_dependencies(job.pk, change, app=job.app, user=ANN, now=DUE)
            planner.process_events(by=Finder.TRIGGER, now=DUE)

        in_threads(partial(finish, attempt), edit)

        assert status_of(task_of(dependent, DUE)) is S.READY


def ready_in_a_group(app: App, count: int) -> int:
    """Open tasks that are alone in a worker group; return its id."""
    group = WorkerGroup.objects.create(name=a_name())
    jobs = [scheduled(app) for _ in range(count)]
    tick(DUE)
    Task.objects.filter(job__in=jobs).update(worker_group=group)
    return group.pk


#: A slot that looks anew after each end, and one that claims along with it.
turns = pytest.mark.parametrize("ends_at", [-math.inf, math.inf], ids=["one by one", "along"])


@turns
def test_slots_that_go_on_by_themselves_take_each_task_once(app: App, ends_at: float) -> None:
    """X-1, I2: whatever another slot is just taking is passed over, not waited for."""
    group_id = ready_in_a_group(app, 3 * ROUNDS)

    def go_on() -> None:
        while not run_next(group_id, ends_at).is_last:
            pass

    in_threads(go_on, go_on, go_on, go_on)

    tasks = Task.objects.filter(worker_group_id=group_id)
    assert set(tasks.values_list("status", "attempt_count")) == {(S.SUCCESS, 1)}
    assert Event.objects.filter(task__in=tasks).count() == 3 * ROUNDS


def run_next(group_id: int, ends_at: float) -> Finished:
    return runner.run_next(Turn(group_id, ends_at), worker="w", clock=lambda: DUE)


@turns
def test_slots_that_go_on_by_themselves_keep_to_an_apps_limit(app: App, ends_at: float) -> None:
    """D-80: the count is taken under the app's lock."""
    limited = make_app(name=a_name(), max_concurrency=1)
    group_id = ready_in_a_group(limited, 2 * ROUNDS)
    counts: list[int] = []
    busy = [True] * 3

    def go_on() -> None:
        for _ in range(2 * ROUNDS):
            run_next(group_id, ends_at)
        busy.pop()

    def watch() -> None:
        while busy:
            counts.append(ledger.running_of_app(limited.pk))

    in_threads(go_on, go_on, go_on, watch)

    assert max(counts) <= 1
    assert Task.objects.filter(job__app=limited, status=S.SUCCESS.value).exists()


def a_graph(app: App) -> list[Job]:
    """Submit three upstreams, three that they name, and one with a schedule that waits for all."""
    tops = [scheduled(app) for _ in range(3)]
    middles = [
        scheduled(app, schedule=(), dependencies=tuple(after(top) for top in tops if top != left))
        for left in tops
    ]
    last = scheduled(app, dependencies=tuple(after(middle) for middle in middles))
    return [*tops, *middles, last]


def all_have_ended(tasks: QuerySet[Task], count: int, deadline: float) -> bool:
    return tasks.filter(status=S.SUCCESS).count() == count or clock.monotonic() > deadline


def work_until(is_over: Callable[[], bool], tasks: QuerySet[Task]) -> None:
    """Claim, run and end whatever is READY, as one worker of several."""
    while not is_over():
        for task in tasks.filter(status=S.READY):
            attempt = claim(task, now=DUE)
            if attempt is not None and transitions.start(attempt, now=DUE):
                finish(attempt)


def tick_until(is_over: Callable[[], bool]) -> None:
    while not is_over():
        tick(DUE)


def test_two_beats_and_four_workers_miss_and_double_nothing(app: App) -> None:
    """I1, I2, I11: every run of a graph is there once, and was tried once."""
    for _ in range(max(3, ROUNDS // 5)):
        jobs = a_graph(app)
        tasks = Task.objects.filter(job__in=jobs)
        is_over = partial(all_have_ended, tasks, len(jobs), clock.monotonic() + 50)
        beats, workers = partial(tick_until, is_over), partial(work_until, is_over, tasks)

        in_threads(*[beats] * 2, *[workers] * 4)

        assert sorted(tasks.values_list("job_id", "due_at", "status", "attempt_count")) == [
            (job.pk, DUE, S.SUCCESS, 1) for job in jobs
        ]


def test_two_edits_that_close_a_cycle_together_are_not_both_accepted(app: App) -> None:
    """D-39."""
    for _ in range(ROUNDS):
        one, other = scheduled(app), scheduled(app)

        def is_accepted(job: Job, upstream: Job) -> bool:
            try:
                set_dependencies(job.pk, [after(upstream)], app=job.app, user=ANN, now=DUE)
            except SentinelError:
                return False
            return True

        accepted = in_threads(partial(is_accepted, one, other), partial(is_accepted, other, one))

        assert sorted(accepted) == [False, True]
        assert DependencyEntry.objects.filter(job__in=[one, other]).count() == 1


def test_the_same_name_opened_twice_is_one_task(app: App) -> None:
    """X-2: the constraint decides, not the locks."""
    for _ in range(ROUNDS):
        job = scheduled(app)
        opening = Opening(job=job, due_at=DUE, status=S.READY)

        in_threads(*(partial(transitions.open_tasks, [opening], now=DUE) for _ in range(4)))

        assert Task.objects.filter(job=job, kind=TaskKind.SCHEDULE).count() == 1
