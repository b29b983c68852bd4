"""The engine under every order of events that can be thought of, next to a naive model (I1 … I14).

After each step the planner's passes have run, and the ledger is at rest: what must have been
opened, released, expired is there, and nothing else.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django.plugin import DjangoDbBlocker

from jobs.models import ScheduleExpression
from jobs.rules.enums import CommonStrategy, Edit, JobStatus, MisfirePolicy
from jobs.rules.spec import DependencyEdit, ScheduleEdit
from jobs.services import set_dependencies, set_schedule, set_status, skip_slot
from sentinel_project.errors import SentinelError
from tasks_app import dispatcher, services, transitions
from tasks_app.models import Attempt, Event, Task
from tasks_app.planner import run_passes
from tasks_app.rules.states import DONE, FINAL, LIVE, AttemptStatus, TaskKind, TaskStatus
from tasks_app.transitions import Ending
from tests.builders import make_app
from tests.engine import ANN, at, begin, cron, private_database, submit
from tests.flow.engine_model import CRONS, MINUTE, Ledger, Model, Plan

S = TaskStatus
RETRIES = 1

#: Which thing of those that are there; taken modulo their number.
WHICH = st.integers(0, 40)
OFFSETS = st.sampled_from(["", "ch", "h(-1)", "cd"])
STRATEGIES = st.sampled_from(list(CommonStrategy))
STATUSES = st.sampled_from([JobStatus.ACTIVE, JobStatus.PAUSED, JobStatus.DISABLED])
REQUESTS = st.sampled_from(["rerun", "run", "fill", "skip"])
SPANS = st.sampled_from([10, 20, 30, 60, 90, 240])


class Engine(RuleBasedStateMachine):
    """Commands that users, workers and the clock give."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._stack.enter_context(private_database())

    @initialize()
    def begin(self) -> None:
        self.model = Model(at("2 00:10"))
        self.app = make_app(kind="ADMIN")
        self.ended: dict[int, int] = {}
        self.fences: dict[int, int] = {}
        self.retried: dict[int, int] = {}
        self.by_hand: set[int] = set()
        self.released: set[int] = set()

    def teardown(self) -> None:
        self._stack.close()

    # -- jobs --------------------------------------------------------------------------------------

    @rule(
        period=st.sampled_from([60, 30, 20, None]),
        is_serial=st.booleans(),
        expire=st.sampled_from([0, 30, 120]),
        policy=st.sampled_from(list(MisfirePolicy)),
        edges=st.dictionaries(WHICH, st.tuples(OFFSETS, STRATEGIES), max_size=2),
    )
    @precondition(lambda self: len(self.model.plans) < 5)
    def submit(
        self,
        period: int | None,
        is_serial: bool,
        expire: int,
        policy: MisfirePolicy,
        edges: dict[int, tuple[str, CommonStrategy]],
    ) -> None:
        ids = list(self.model.plans)
        upstreams = {ids[which % len(ids)]: edge for which, edge in edges.items()} if ids else {}
        words = {"is_serial": is_serial, "misfire_policy": policy, "max_retries": RETRIES}
        words |= {"expire_after": expire * MINUTE, "retry_interval": 10 * MINUTE}
        try:
            job = submit(
                self.app,
                f"job-{len(ids)}",
                now=self.now,
                schedule=(cron(CRONS[period]),) if period else (),
                dependencies=_edits(upstreams),
                **words,
            )
        except SentinelError:
            return
        self.model.plans[job.pk] = Plan(
            job, period, self.now, True, is_serial, expire * MINUTE, policy, upstreams=upstreams
        )

    @rule(
        which=WHICH,
        status=st.sampled_from([JobStatus.ACTIVE, JobStatus.PAUSED, JobStatus.DISABLED]),
    )
    @precondition(lambda self: self.model.plans)
    def set_status(self, which: int, status: JobStatus) -> None:
        plan = self._plan(which)
        set_status(plan.job.pk, status, app=self.app, user=ANN, now=self.now)
        if plan.status is JobStatus.DISABLED and status is not JobStatus.DISABLED:
            plan.begin_anew(self.now, is_inclusive=True)
        plan.is_touched = plan.is_touched or status is not plan.status
        plan.status = status

    @rule(which=WHICH, period=st.sampled_from([60, 30, 20]))
    @precondition(lambda self: self.model.plans)
    def set_schedule(self, which: int, period: int) -> None:
        plan = self._plan(which)
        if plan.period in {None, period}:
            return
        row = ScheduleExpression.objects.get(job=plan.job)
        edit = ScheduleEdit(mode=Edit.EDIT, expression_id=row.pk, text=CRONS[period])
        try:
            set_schedule(plan.job.pk, [edit], app=self.app, user=ANN, now=self.now)
        except SentinelError:
            return
        plan.period = period
        plan.begin_anew(self.now, is_inclusive=False)

    @rule(which=WHICH, upstream=WHICH, offset=OFFSETS, strategy=STRATEGIES)
    @precondition(lambda self: self.model.plans)
    def set_dependencies(
        self, which: int, upstream: int, offset: str, strategy: CommonStrategy
    ) -> None:
        plan, other = self._plan(which), self._plan(upstream)
        has = other.job.pk in plan.upstreams
        mode = Edit.DELETE if has else Edit.ADD
        edit = DependencyEdit(mode=mode, upstream_id=other.job.pk, offset=offset, strategy=strategy)
        try:
            set_dependencies(plan.job.pk, [edit], app=self.app, user=ANN, now=self.now)
        except SentinelError:
            return
        plan.is_touched = True
        if has:
            del plan.upstreams[other.job.pk]
        else:
            plan.upstreams[other.job.pk] = (offset, strategy)

    # -- time --------------------------------------------------------------------------------------

    @rule(minutes=SPANS)
    def let_time_pass(self, minutes: int) -> None:
        """With a beat that ticks whenever something is due."""
        end = self.now + minutes * MINUTE
        while self.now < end:
            self.model.come()
            following = self._run_passes()
            self.check_everything()
            self.model.now = min(max(following or end, self.now + MINUTE), end)

    @rule(minutes=SPANS)
    def outage(self, minutes: int) -> None:
        """Time passes, and nobody is there."""
        self.model.now += minutes * MINUTE

    @rule(paused=st.booleans())
    def pause_the_system(self, paused: bool) -> None:
        services.set_system_paused(paused, app=self.app, user=ANN, now=self.now)
        self.model.is_paused = paused

    # -- workers -----------------------------------------------------------------------------------

    @rule(count=st.integers(1, 4))
    def start_what_is_ready(self, count: int) -> None:
        ready = Task.objects.filter(status=S.READY, ready_at__lte=self.now)
        in_order = dispatcher.startable(ready, now=self.now).order_by("-priority", "ready_at", "id")
        for task in list(in_order[:count]):
            # A second run of a serial job is held back, and a paused system starts nothing.
            if not self.model.is_paused and not self._is_busy(task):
                begin(task, now=self.now)

    def _is_busy(self, task: Task) -> bool:
        rows = Task.objects.filter(job_id=task.job_id, status=S.RUNNING, job__is_serial=True)
        return rows.exists()

    @rule(which=WHICH, how=st.sampled_from(["success", "success", "fail", "lost", "handed back"]))
    def end(self, which: int, how: str) -> None:
        live = list(Attempt.objects.filter(status__in=LIVE).select_related("task__job"))
        if not live:
            return
        attempt = live[which % len(live)]
        match how:
            case "lost":
                transitions.rescue(attempt, Ending(status=AttemptStatus.LOST), now=self.now)
            case "handed back":
                transitions.hand_back(attempt, Ending(status=AttemptStatus.LOST), now=self.now)
            case _:
                word = AttemptStatus.SUCCESS if how == "success" else AttemptStatus.FAILED
                word = AttemptStatus.KILLED if attempt.task.kill_requested_at else word
                transitions.settle(attempt, Ending(status=word), now=self.now)

    # -- operators ---------------------------------------------------------------------------------

    @rule(which=WHICH, verb=st.sampled_from(["kill", "retry", "remove", "success", "failed"]))
    def do(self, which: int, verb: str) -> None:
        tasks = list(Task.objects.order_by("pk"))
        if not tasks:
            return
        task = tasks[which % len(tasks)]
        words: dict[str, Any] = {"app": self.app, "user": ANN, "now": self.now}
        self.by_hand.add(task.pk)
        match verb:
            case "kill":
                services.kill_tasks([task.pk], **words)
            case "remove":
                services.remove_tasks([task.pk], **words)
            case "retry":
                (answer,) = services.retry_tasks([task.pk], **words)
                self.retried[task.pk] = self.retried.get(task.pk, 0) + answer.accepted
            case _:
                self._force(task, S.SUCCESS if verb == "success" else S.FAILED)

    def _force(self, task: Task, status: TaskStatus) -> None:
        try:
            services.force_status(task.pk, status, app=self.app, user=ANN, reason="", now=self.now)
        except SentinelError:
            assert task.status in {*DONE, status}

    @rule(
        which=WHICH, hours=st.integers(0, 3), verb=st.sampled_from(["rerun", "run", "fill", "skip"])
    )
    @precondition(lambda self: self.model.plans)
    def ask(self, which: int, hours: int, verb: str) -> None:
        plan = self._plan(which)
        words: dict[str, Any] = {"app": self.app, "user": ANN, "now": self.now}
        start = self.now - timedelta(hours=hours)
        before = set(Task.objects.values_list("pk", flat=True))
        try:
            match verb:
                case "rerun":
                    services.rerun([plan.job.pk], start, self.now, **words)
                case "run":
                    services.run_now(plan.job.pk, **words)
                case "fill":
                    services.fill_gaps(plan.job.pk, start, self.now, **words)
                case _:
                    slot = start.replace(minute=0) + timedelta(hours=hours + 1)
                    skip_slot(plan.job.pk, slot, reason="", **words)
        except SentinelError:
            return
        self.by_hand |= set(Task.objects.values_list("pk", flat=True)) - before

    # -- at rest -----------------------------------------------------------------------------------

    @invariant()
    def at_rest(self) -> None:
        self.model.come()
        self._run_passes()
        self.check_everything()

    def check_everything(self) -> None:
        ledger = Ledger(self.model)
        for plan in self.model.plans.values():
            self._check_slots(plan, ledger)
            self._check_names(plan, ledger)
            for task in ledger.tasks[plan.job.pk].values():
                self._check_waiting(plan, task, ledger)
        for task in Task.objects.prefetch_related("attempts"):
            self._check_history(task)

    def _check_slots(self, plan: Plan, ledger: Ledger) -> None:
        """I1: every slot that has come is one task or in a gap, and there are no others."""
        if plan.period is None:
            return
        opened = set(ledger.tasks[plan.job.pk])
        left_out = {slot for slot in plan.owed if ledger.gap_at(plan, slot)}
        assert plan.owed - opened == left_out, f"{plan.job}: opened {sorted(opened)}"
        assert opened <= plan.owed, f"{plan.job}: {sorted(opened - plan.owed)} are no slots"

    def _check_names(self, plan: Plan, ledger: Ledger) -> None:
        """D-36, I11: a done run of the only upstream, with the empty offset, has named one."""
        if plan.period is not None or plan.is_touched or len(plan.upstreams) != 1:
            return
        ((upstream_id, (offset, _)),) = plan.upstreams.items()
        for due, task in ledger.tasks[upstream_id].items():
            is_named = due in ledger.tasks[plan.job.pk]
            if offset == "" and task.status in DONE and due >= plan.since:
                assert is_named, f"{plan.job} has no run due {due}"

    def _check_waiting(self, plan: Plan, task: Task, ledger: Ledger) -> None:
        """I11, I14: what waits has a reason to, what went had none left, nothing is overdue."""
        is_satisfied = self.model.is_satisfied(plan, task.due_at, ledger)
        if task.status == S.WAITING:
            assert is_satisfied is not True, f"{task} ({plan.job} {task.due_at}) waits in vain"
        elif task.released_at and task.pk not in self.released | self.by_hand:
            self.released.add(task.pk)
            assert is_satisfied is not False, f"{task} ({plan.job} {task.due_at}) went too early"
        is_exempt = plan.is_serial or task.pk in self.by_hand or task.attempt_count
        if task.status in {S.WAITING, S.READY} and plan.expire_after and not is_exempt:
            assert task.due_at + plan.expire_after > self.now, f"{task} is overdue"

    def _check_history(self, task: Task) -> None:
        attempts = list(task.attempts.all())
        live = [a for a in attempts if a.status in LIVE]
        assert len(live) == (task.status == S.RUNNING), f"I2: {task} is {task.status}"
        assert [a.number for a in attempts] == list(range(1, len(attempts) + 1))
        free = sum(a.status == AttemptStatus.LOST for a in attempts)
        assert len(attempts) <= (1 + RETRIES) * (1 + self.retried.get(task.pk, 0)) + free, "I6"
        assert task.fence >= self.fences.get(task.pk, 0), "I3"
        assert self.ended.get(task.pk, task.status) == task.status, "I5"
        assert task.reason != "EXPIRED" or not attempts, "I14"
        assert (task.ended_at is not None) == (task.status in FINAL)
        self.fences[task.pk] = task.fence
        if task.status in DONE:
            self.ended[task.pk] = task.status

    # -- helpers -----------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.model.now

    def _run_passes(self) -> datetime | None:
        """Tick until nothing is left to carry on: what expires leaves an event, too."""
        following = run_passes(now=self.now)
        while Event.objects.filter(processed_at__isnull=True, faults=0).exists():
            following = run_passes(now=self.now)
        assert not Event.objects.filter(faults__gt=0).exists(), "an event failed"
        return following

    def _plan(self, which: int) -> Plan:
        return list(self.model.plans.values())[which % len(self.model.plans)]


def _edits(upstreams: dict[int, tuple[str, CommonStrategy]]) -> tuple[DependencyEdit, ...]:
    return tuple(
        DependencyEdit(upstream_id=upstream_id, offset=offset, strategy=strategy)
        for upstream_id, (offset, strategy) in upstreams.items()
    )


_IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
# Shrinking a run of the engine takes minutes, so it is left to the long profile.
_PHASES = tuple(phase for phase in Phase if _IS_LONG or phase is not Phase.shrink)


def test_the_engine_does_what_the_naive_model_says(django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock():
        run_state_machine_as_test(
            Engine,
            settings=settings(
                max_examples=400 if _IS_LONG else 40,
                stateful_step_count=50 if _IS_LONG else 25,
                deadline=None,
                phases=_PHASES,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_batches_and_manual_runs_are_no_slots() -> None:
    """D-33: the model reads SCHEDULE tasks only; this pins the kinds it leaves out."""
    assert set(TaskKind) - {TaskKind.SCHEDULE} == {TaskKind.RERUN, TaskKind.TEMP, TaskKind.MANUAL}
