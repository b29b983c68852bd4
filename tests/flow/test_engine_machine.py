"""The engine under every order of events that can be thought of, next to a naive model."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from pytest_django.plugin import DjangoDbBlocker

from tasks_app import planner
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import Finder, TaskKind
from tests.engine import claim, emptied_tables, in_threads, private_database, status_of
from tests.flow import engine_model, naive_time
from tests.flow.engine_machine import SPANS, WHICH, Engine
from tests.flow.naive_time import MINUTE

_IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
# Shrinking a run of the engine takes minutes, so it is left to the long profile.
_PHASES = tuple(phase for phase in Phase if _IS_LONG or phase is not Phase.shrink)


class OnSqlite(Engine):
    database = staticmethod(private_database)


class OnPostgres(Engine):
    """Here planners and workers are threads, each with a connection of its own."""

    database = staticmethod(emptied_tables)

    @rule(
        minutes=SPANS,
        planners=st.integers(1, 3),
        ends=st.dictionaries(WHICH, st.sampled_from(["success", "success", "fail", "lost"])),
        claims=st.integers(0, 2),
    )
    @precondition(lambda self: self.may_go_on)
    def all_at_once(self, minutes: int, planners: int, ends: dict[int, str], claims: int) -> None:
        """Planners, workers that finish and workers that reach for the same tasks."""
        self.model.now += minutes * MINUTE
        self.model.come(self.now)
        ending = dict(zip(self._live(), ends.values(), strict=False))
        expected = [(a.task, self._status_after(a, how)) for a, how in ending.items()]
        works: list[Callable[[], object]] = [partial(planner.run_passes, now=self.now)] * planners
        works += [partial(self._end_and_carry_on, a, how) for a, how in ending.items()]
        works += [partial(self._claim, task) for task in self._startable()[:2]] * claims
        in_threads(*works)
        assert [(task, status_of(task)) for task, _ in expected] == expected

    def _end_and_carry_on(self, attempt: Attempt, how: str) -> None:
        self._end(attempt, how)
        planner.process_events(by=Finder.TRIGGER, now=self.now)

    def _claim(self, task: Task) -> None:
        claim(task, now=self.now)


pytestmark = pytest.mark.timeout(7200 if _IS_LONG else 900)


def run_machine(machine: type[Engine], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples * 20 if _IS_LONG else examples,
            stateful_step_count=60 if _IS_LONG else 40,
            deadline=None,
            phases=_PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_engine_does_what_the_naive_model_says(django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock():
        run_machine(OnSqlite, examples=40)


@pytest.mark.postgres
def test_it_does_so_with_planners_and_workers_at_once(postgres: None) -> None:
    run_machine(OnPostgres, examples=12)


@pytest.mark.parametrize("module", [engine_model, naive_time])
def test_the_model_shares_nothing_with_the_engine_but_its_words(module: ModuleType) -> None:
    """An oracle that asks the engine would agree with whatever it does."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    imported = {
        node.module or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
    }

    ours = {name for name in imported if name.split(".")[0] in {"jobs", "tasks_app", "tests"}}
    words = {"jobs.models", "jobs.rules.enums", "tasks_app.models", "tasks_app.rules.states"}
    assert ours <= words | {"tests.flow.naive_time"}


def test_batches_and_manual_runs_are_no_slots() -> None:
    """D-33: the model reads SCHEDULE tasks only; this pins the kinds it leaves out."""
    assert set(TaskKind) - {TaskKind.SCHEDULE} == {TaskKind.RERUN, TaskKind.TEMP, TaskKind.MANUAL}
