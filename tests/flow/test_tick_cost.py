"""What a tick with nothing to do reads does not grow with the number of jobs (X-9)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import ExpressionKind
from tasks_app import planner
from tests.builders import NOW, JobFactory, make_app

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("spelled_statements")]

EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
THROUGH_A_TABLE = re.compile(
    "^SCAN jobs_|rowid>|Seq Scan on jobs_job|Seq Scan on jobs_scheduleexpression"
)


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
    asked: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, *rest: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, *rest)

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        with connection.execute_wrapper(note):
            planner.run_passes(now=NOW)
        plans = []
        for sql, params in asked:
            cursor.execute(f"{EXPLAIN[connection.vendor]} {sql}", params)
            plans += [step[-1] for step in cursor.fetchall()]

    assert len(plans) > 4
    assert list(filter(THROUGH_A_TABLE.search, plans)) == []
