"""Explain: why a run waits, gate by gate, and what would let it go (D-70)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from jobs.models import App, Job
from tasks_app import services
from tasks_app.explain import explain
from tasks_app.gates import Gate, GateState
from tasks_app.models import Task
from tasks_app.rules.states import Reason, TaskKind
from tests.builders import make_app
from tests.engine import ANN, after, at, cron, run, submit, task_of, tick
from tests.flow import held_runs
from tests.flow.held_runs import DAILY, DUE, SOON, START, Subject

pytestmark = pytest.mark.django_db

ORDER = [
    "job_status",
    "active_window",
    "slot",
    "opened",
    "serial",
    "expiry",
    "system",
    "app_limit",
    "workers",
    "dispatched",
    "claimed",
]


@pytest.fixture
def app(db: None) -> App:
    return make_app(kind="ADMIN")


def gates_of(job: Job, due_at: datetime, now: datetime, task: Task | None = None) -> list[Gate]:
    rows = Task.objects.select_related("job__app", "worker_group")
    found = task or rows.filter(job=job, due_at=due_at).order_by("-pk").first()
    job = Job.objects.select_related("app").get(pk=job.pk)
    found = rows.get(pk=found.pk) if found else None
    return explain(job, due_at, found, now=now)


R = Reason
WHYS: list[tuple[Callable[[App], Subject], str, Reason, str]] = [
    (held_runs.paused, "job_status", R.JOB_PAUSED, "resume it"),
    (held_runs.disabled, "job_status", R.JOB_DISABLED, "enable it"),
    (held_runs.trashed, "job_status", R.JOB_TRASHED, "TRASHED"),
    (held_runs.outside_the_active_window, "active_window", R.NOT_A_SLOT, "activeStartDate"),
    (held_runs.no_slot, "slot", R.NOT_A_SLOT, "no expression"),
    (held_runs.skipped_by_policy, "slot", R.IN_A_GAP, "fill the gap"),
    (held_runs.expired_before_it_was_opened, "slot", R.IN_A_GAP, "fill the gap"),
    (held_runs.marked_to_be_skipped, "opened", R.SKIPPED_BY_USER, "operator"),
    (held_runs.not_due, "opened", R.NOT_DUE, "has not come"),
    (held_runs.not_opened, "opened", R.NOT_OPENED, "beat"),
    (held_runs.not_named, "opened", R.NOT_OPENED, "opens when a run of job"),
    (held_runs.not_opened_in_a_paused_system, "opened", R.SYSTEM_PAUSED, "resume it"),
    (held_runs.upstream_is_not_done, "dependency", R.UPSTREAM_NOT_DONE, "READY"),
    (
        held_runs.upstream_is_not_opened,
        "dependency",
        R.UPSTREAM_NOT_DONE,
        "09:00:00 is not opened yet",
    ),
    (held_runs.upstream_failed, "dependency", R.UPSTREAM_FAILED, "retry, force or remove it"),
    (held_runs.empty_window, "dependency", R.NO_EXPECTED_RUN, "[2026-03-02 01:00:00"),
    (held_runs.predecessor_is_not_done, "serial", R.SERIAL_PREDECESSOR, "00:00:00, is READY"),
    (held_runs.predecessor_failed, "serial", R.SERIAL_FAILED, "retry, force or remove it"),
    (held_runs.predecessor_is_in_a_capped_gap, "serial", R.SERIAL_PREDECESSOR, "fill the gap"),
    (held_runs.expired, "expiry", R.EXPIRED, "60 s"),
    (held_runs.ready_in_a_paused_system, "system", R.SYSTEM_PAUSED, "resume it"),
    (held_runs.app_runs_all_it_may, "app_limit", R.APP_LIMIT, "1 tasks"),
    (held_runs.app_is_disabled, "app_limit", R.APP_DISABLED, "disabled"),
    (held_runs.group_is_disabled, "workers", R.GROUP_DISABLED, "disabled"),
    (held_runs.nobody_works, "workers", R.NO_WORKER, "start one"),
    (held_runs.waits_out_its_interval, "dispatched", R.RETRY_WAIT, "until"),
    (held_runs.queues_for_a_slot, "dispatched", R.QUEUED, "free slot"),
    (held_runs.rung_and_not_taken, "claimed", R.QUEUED, "no worker has taken it"),
    (held_runs.another_run_of_it_goes_on, "serial", R.SERIAL_OVERLAP, "is running"),
    (
        held_runs.the_one_before_it_in_its_batch,
        "serial",
        R.SERIAL_PREDECESSOR,
        "00:00:00, is READY",
    ),
    (held_runs.its_upstream_in_its_batch, "dependency", R.UPSTREAM_NOT_DONE, "READY"),
]


@pytest.mark.parametrize(
    ("why", "gate", "reason", "words"), WHYS, ids=[case[0].__name__ for case in WHYS]
)
def test_a_run_that_waits_is_told_why_and_what_would_let_it_go(
    app: App, why: Callable[[App], Subject], gate: str, reason: Reason, words: str
) -> None:
    job, due, now = why(app)

    answers = gates_of(job, due, now)

    (blocking,) = (answer for answer in answers if answer.state is GateState.BLOCKING)
    assert (blocking.name.split(":")[0], blocking.reason) == (gate, reason)
    assert words in blocking.text


def test_the_gates_come_in_their_order_and_none_is_left_out(app: App) -> None:
    """5-simulation.md: those behind a blocking one are not reached."""
    job, due, now = held_runs.queues_for_a_slot(app)

    answers = gates_of(job, due, now)

    assert [answer.name for answer in answers] == ORDER
    states = [answer.state for answer in answers]
    assert states == [*[GateState.PASSED] * 9, GateState.BLOCKING, GateState.NOT_REACHED]


def test_all_dependencies_that_block_are_told_at_once(app: App) -> None:
    edges = tuple(after(submit(app, name, now=START, schedule=DAILY)) for name in ("a", "b"))
    job = held_runs.opened(app, dependencies=edges)

    answers = gates_of(job, DUE, SOON)

    blocking = [answer for answer in answers if answer.is_blocking]
    assert [answer.name for answer in blocking] == [f"dependency:{e.upstream_id}" for e in edges]


def test_a_dependency_shows_its_window_and_the_state_of_each_expected_run(app: App) -> None:
    hourly = submit(app, "hourly", now=START, schedule=(cron("0 0 0-2 * * ?"),))
    job = held_runs.opened(app, dependencies=(after(hourly),))
    tick(START)
    run(task_of(hourly, START), now=DUE)

    (gate,) = (a for a in gates_of(job, DUE, SOON) if a.name == f"dependency:{hourly.pk}")

    assert gate.window is not None
    assert gate.expected is not None
    assert (gate.window.start, gate.window.end) == (at("2 00:00"), at("3 00:00"))
    told = [run.status.name if run.status else None for run in gate.expected]
    assert told == ["SUCCESS", "READY", None]


def test_a_manual_run_passes_the_gates_that_it_ignores(app: App) -> None:
    """D-55."""
    job = held_runs.opened(app, dependencies=(after(held_runs.upstream(app)),))
    task = services.run_now(job.pk, app=app, user=ANN, now=SOON)
    assert task.kind == TaskKind.MANUAL

    answers = gates_of(job, task.due_at, SOON, task)

    (blocking,) = (answer for answer in answers if answer.is_blocking)
    assert blocking.name == "workers"


def test_what_the_explanation_names_is_what_the_task_has_stored(app: App) -> None:
    """D-70: the scheduler's own functions produce it."""
    job, due, now = held_runs.upstream_failed(app)
    tick(now)

    (blocking,) = (answer for answer in gates_of(job, due, now) if answer.is_blocking)

    task = task_of(job, due)
    assert (task.reason, task.reason_text) == (blocking.reason, blocking.text)
