"""What an idle tick reads, and a claim, does not grow with the number of jobs (X-9)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection

from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import ExpressionKind
from tasks_app import planner, runner
from tasks_app.models import Attempt
from tasks_app.turns import Turn
from tests.builders import NOW, JobFactory, make_app, make_task

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("spelled_statements")]

EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
THROUGH_A_TABLE = re.compile(
    "^SCAN jobs_|rowid>|Seq Scan on jobs_job|Seq Scan on jobs_scheduleexpression"
)
THROUGH_THE_JOBS = re.compile(r"^SCAN jobs_job\b|Seq Scan on jobs_job\b")


def test_no_statement_of_an_idle_tick_goes_through_a_table() -> None:
    """With statistics as well, which a database gathers by itself or is given by an operator."""
    app = make_app()
    jobs = Job.objects.bulk_create(
        JobFactory.build(app=app, worker_group_id=1) for _ in range(2000)
    )
    ScheduleExpression.objects.bulk_create(
        ScheduleExpression(
            job=job,
            kind=ExpressionKind.CRON,
            text="0 0 1 1 1 ? 2090",
            anchor_at=NOW,
            floor_at=NOW,
            next_due_at=NOW + timedelta(days=9000),
        )
        for job in jobs
    )
    assert (
        list(filter(THROUGH_A_TABLE.search, plans_of(partial(planner.run_passes, now=NOW)))) == []
    )


def test_the_claim_of_the_next_task_does_not_go_through_the_jobs() -> None:
    """What is busy is asked once; as a subquery of each row it made one job too dear to look up."""
    app = make_app()
    jobs = Job.objects.bulk_create(
        JobFactory.build(app=app, worker_group_id=1) for _ in range(1000)
    )
    for job in jobs[:200]:
        make_task(job=job, ready_at=NOW)
    later = NOW + timedelta(hours=1)

    plans = plans_of(partial(runner.run_next, Turn(1), worker="w1", clock=lambda: later))

    assert Attempt.objects.count() == 1
    assert list(filter(THROUGH_THE_JOBS.search, plans)) == []


def plans_of(work: Callable[[], object]) -> list[str]:
    """Return the steps of the plans of all that ``work`` asks."""
    asked: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, *rest: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, *rest)

    plans: list[str] = []
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        with connection.execute_wrapper(note):
            work()
        for sql, params in asked:
            if "SAVEPOINT" not in sql:
                cursor.execute(f"{EXPLAIN[connection.vendor]} {sql}", params)
                plans += [step[-1] for step in cursor.fetchall()]
    assert len(plans) > 4
    return plans
