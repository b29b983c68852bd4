"""What a window ranges over, asked in short and in full, and what asking costs (D-32 to D-36)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.plugin import DjangoDbBlocker

from jobs.expected import Expectations, ExpectedRun
from jobs.facts import Upstream
from jobs.models import App, DependencyEntry, Job
from jobs.rules.enums import CommonStrategy, GapReason
from jobs.rules.offsets import parse_offset, window
from jobs.rules.strategies import is_satisfied
from jobs.rules.windows import Window
from jobs.services import next_times
from tasks_app import gates
from tasks_app.models import Gap
from tasks_app.rules.states import Reason, TaskStatus
from tests.builders import make_app, make_job, make_task
from tests.engine import after, at, cron, private_database, submit

START = at("2 00:00")
DAY = Window(at("2 00:00"), at("3 00:00"))
DAILY = cron("0 0 1 * * ?")

pytestmark = pytest.mark.usefixtures("spelled_statements")


@pytest.fixture
def app(db: None) -> App:
    return make_app()


# -- what asking costs -----------------------------------------------------------------------------


def asked(ask: Callable[[], object]) -> int:
    """Return how many questions ``ask`` put to the database."""
    with CaptureQueriesContext(connection) as captured:
        ask()
    return len(captured)


def chain(app: App, length: int, offset: str, name: str = "job") -> Job:
    """Return the last of a chain of jobs, all but the first of which have no schedule."""
    job = submit(app, f"first {name}", now=START, schedule=(DAILY,))
    for number in range(length):
        job = named(app, f"{name}-{number}", offset, job)
    return job


def named(app: App, name: str, offset: str, *upstreams: Job) -> Job:
    """Return a job without a schedule; it is not submitted, which would judge the whole chain."""
    job = make_job(app=app, name=name, floor_at=START, created_at=START)
    for upstream in upstreams:
        DependencyEntry.objects.create(
            job=job,
            upstream=upstream,
            common_strategy=CommonStrategy.ALL.value,
            offset=offset,
        )
    return job


@pytest.mark.parametrize("offset", ["cd", "", "d(-1,1)"])
def test_a_chain_of_jobs_without_a_schedule_is_asked_once_for_each_of_them(
    app: App, offset: str
) -> None:
    last = chain(app, 40, offset)

    runs: list[ExpectedRun] = []
    count = asked(lambda: runs.extend(Expectations().runs(last.pk, DAY)))

    assert [run.due_at for run in runs] == [at("2 01:00")]
    assert count <= 8 * 41


@pytest.mark.parametrize("offset", ["cd", ""])
def test_naming_asks_no_more_for_a_longer_chain(app: App, offset: str) -> None:
    """What the jobs behind have is read together, once they have been parsed."""
    short, long = chain(app, 5, offset, name="short"), chain(app, 40, offset, name="long")
    for last in (short, long):
        assert Expectations().named(last.pk, at("2 01:00")) == at("2 01:00")

    counts = [asked(partial(Expectations().named, job.pk, at("2 01:00"))) for job in (short, long)]

    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("offset", ["cd", "d(-1,1)"])
def test_naming_asks_no_more_for_a_wider_join(app: App, offset: str) -> None:
    counts = []
    for width in (3, 30):
        upstreams = [
            submit(app, f"{width}-{n}", now=START, schedule=(DAILY,)) for n in range(width)
        ]
        last = named(app, f"join of {width}", offset, *upstreams)
        assert Expectations().named(last.pk, at("2 01:00")) == at("2 01:00")
        counts.append(asked(partial(Expectations().named, last.pk, at("2 01:00"))))

    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("offset", ["cd", ""])
def test_jobs_that_join_twice_at_each_step_are_asked_once_each(app: App, offset: str) -> None:
    """Twenty steps of two jobs have a million paths through them."""
    pair = [submit(app, f"first-{n}", now=START, schedule=(DAILY,)) for n in range(2)]
    for step in range(20):
        pair = [named(app, f"{step}-{n}", offset, *pair) for n in range(2)]

    count = asked(lambda: Expectations().runs(pair[0].pk, DAY))

    assert next_times(pair[0], now=START) == [at("2 01:00"), at("3 01:00"), at("4 01:00")]
    assert count <= 6 * 42


@pytest.mark.parametrize("offset", ["cd", ""])
def test_a_chain_may_be_longer_than_functions_can_call_each_other(app: App, offset: str) -> None:
    last = chain(app, 400, offset)

    assert [run.due_at for run in Expectations().runs(last.pk, DAY)] == [at("2 01:00")]
    assert next_times(last, now=START, count=1) == [at("2 01:00")]


@pytest.mark.parametrize("strategy", CommonStrategy)
def test_a_window_of_millions_of_runs_is_judged_by_one_of_them(
    app: App, strategy: CommonStrategy
) -> None:
    busy = submit(app, "busy", now=START, schedule=(cron("* * * * * ?"),))
    job = make_job(app=app)
    make_task(TaskStatus.READY, job=busy, due_at=START)
    facts = Expectations().facts(job.pk)
    upstream = Upstream(busy.pk, strategy, parse_offset("cy"))

    gate = gates.dependency_gate(facts, upstream, START, Expectations(), now=START)

    assert (gate.is_blocking, gate.reason) == (True, Reason.UPSTREAM_NOT_DONE)


def test_a_year_with_a_hole_in_it_is_judged_by_the_hole(app: App) -> None:
    """D-23: what was lost stays expected; finding it costs a few questions."""
    hourly = submit(app, "hourly", now=START, schedule=(cron("0 0 * * * ?"),))
    for hours in range(24 * 7):
        if hours != 30:
            make_task(TaskStatus.SUCCESS, job=hourly, due_at=START + timedelta(hours=hours))
    lost = START + timedelta(hours=30)
    expression = hourly.expressions.get()
    Gap.objects.create(
        job=hourly,
        expression=expression,
        from_at=lost,
        to_at=lost,
        count=1,
        reason=GapReason.EXPIRED.value,
        created_at=lost,
    )
    upstream = Upstream(hourly.pk, CommonStrategy.ALL, parse_offset("d(-7)"))
    facts = Expectations().facts(hourly.pk)
    due = START + timedelta(days=7)
    expectations = Expectations()
    expectations.facts(hourly.pk)

    found: list[gates.Gate] = []

    def judge() -> None:
        found.append(gates.dependency_gate(facts, upstream, due, expectations, now=due))

    assert asked(judge) <= 8
    assert found[0].reason is Reason.UPSTREAM_NOT_DONE
    assert "2026-03-03 06:00:00 is not opened yet" in found[0].text


# -- short and full answers agree ------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, TaskStatus]]:
    """Which of the first hours of an hourly job, and half hours that it no longer has, ran how."""
    places = draw(st.lists(st.integers(0, 40), unique=True, max_size=12))
    return [(place, draw(st.sampled_from(TaskStatus))) for place in places]


@given(
    history=histories(),
    gaps=st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 4), st.sampled_from(GapReason)), max_size=3
    ),
    offset=st.sampled_from(["", "cd", "ch", "h(-5)", "h(3)", "d(-1,1)", "h(-2,2)"]),
    hour=st.integers(0, 30),
    strategy=st.sampled_from(CommonStrategy),
)
def test_few_runs_decide_a_window_as_all_of_them_do(
    history: list[tuple[int, TaskStatus]],
    gaps: list[tuple[int, int, GapReason]],
    offset: str,
    hour: int,
    strategy: CommonStrategy,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    """D-34, of a job with a schedule and of one that it names."""
    with django_db_blocker.unblock(), private_database():
        app = make_app()
        hourly = submit(app, "hourly", now=START, schedule=(cron("0 0 * * * ?"),))
        child = submit(app, "child", now=START, dependencies=(after(hourly, "h(-1,2)"),))
        expression = hourly.expressions.get()
        for place, status in history:
            make_task(status, job=hourly, due_at=START + timedelta(minutes=30 * place))
            make_task(status, job=child, due_at=START + timedelta(hours=place))
        for first, length, reason in gaps:
            for job, by in ((hourly, expression), (child, None)):
                Gap.objects.create(
                    job=job,
                    expression=by,
                    from_at=START + timedelta(hours=first),
                    to_at=START + timedelta(hours=first + length),
                    count=length + 1,
                    reason=reason.value,
                    created_at=START,
                )
        for job in (hourly, child):
            upstream = Upstream(job.pk, strategy, parse_offset(offset))
            due = START + timedelta(hours=hour)
            span = window(upstream.offset, due, job.zone)
            runs = Expectations().runs(job.pk, span)

            assert Expectations().latest(job.pk, span) == (runs[-1] if runs else None)
            assert Expectations().earliest(job.pk, span) == (runs[0] if runs else None)
            telling = gates.telling_runs(upstream, span, Expectations(), few=0)
            assert is_satisfied(strategy, telling) is is_satisfied(strategy, runs)
            assert set(telling) <= set(runs)
