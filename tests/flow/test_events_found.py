"""Who carries on the ends of tasks: the workers, and beat only what they left (X-8)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.models import App, DependencyEntry
from jobs.rules.enums import CommonStrategy, GapReason
from tasks_app import planner, selectors
from tasks_app.models import Event, Gap
from tasks_app.rules.states import Finder
from tests.builders import make_app, make_job
from tests.engine import after, at, cron, run, submit, task_of, tick

pytestmark = pytest.mark.django_db

NOON = at("2 12:00")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def app(db: None) -> App:
    return make_app()


def test_an_end_counts_for_whoever_found_it(app: App) -> None:
    jobs = [submit(app, name, now=NOON, schedule=(cron("0 12 * * *"),)) for name in ("a", "b")]
    submit(app, "c", now=NOON, dependencies=tuple(map(after, jobs)))
    tick(NOON)
    run(task_of(jobs[0], NOON), now=NOON)
    planner.process_events(by=Finder.TRIGGER, now=NOON)
    run(task_of(jobs[1], NOON), now=NOON)
    tick(NOON + MINUTE)

    found = selectors.ends_carried_on(NOON)

    assert found == {Finder.TRIGGER: 1, Finder.BEAT: 1}
    assert selectors.ends_carried_on(NOON + 2 * MINUTE) == {Finder.TRIGGER: 0, Finder.BEAT: 0}


def test_an_end_that_nobody_waits_for_counts_for_nobody(app: App) -> None:
    job = submit(app, "a", now=NOON, schedule=(cron("0 12 * * *"),))
    tick(NOON)
    run(task_of(job, NOON), now=NOON)
    tick(NOON + MINUTE)

    assert selectors.ends_carried_on(NOON) == {Finder.TRIGGER: 0, Finder.BEAT: 0}
    assert not Event.objects.filter(processed_at=None).exists()


def test_equal_gaps_of_former_expressions_stop_no_dependent(app: App) -> None:
    """X-9, D-34a: nothing keeps two expressions of a job from leaving out the same slot."""
    first = submit(app, "first", now=at("1 00:00"), schedule=(cron("0 12 * * *"),))
    late = submit(app, "late", now=at("2 06:00"), schedule=(cron("0 * * * *"),))
    early = make_job(app=app, floor_at=at("1 00:00"))
    for upstream, offset in ((first, "cd"), (late, "d(-1,0)")):
        DependencyEntry.objects.create(
            job=early, upstream=upstream, common_strategy=CommonStrategy.ALL.value, offset=offset
        )
    other = submit(app, "other", now=at("1 00:00"), dependencies=(after(first),))
    for _ in range(2):
        Gap.objects.create(
            job=early,
            from_at=NOON,
            to_at=NOON,
            count=1,
            reason=GapReason.NO_UPSTREAM_YET.value,
            created_at=NOON,
        )
    tick(NOON)
    run(task_of(first, NOON), now=NOON)
    planner.process_events(by=Finder.TRIGGER, now=NOON)

    assert not Event.objects.filter(processed_at=None).exists()
    assert [task.due_at for task in other.tasks.all()] == [NOON]
    assert not early.tasks.exists()
