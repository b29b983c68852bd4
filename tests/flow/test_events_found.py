"""Who carries on the ends of tasks: the workers, and beat only what they left (X-8)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.models import App
from tasks_app import planner, selectors
from tasks_app.models import Event
from tasks_app.rules.states import Finder
from tests.builders import make_app
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
