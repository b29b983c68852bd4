"""Commands that users, workers and the clock give, in any order, next to the naive model.

After each step the planner's passes have run and the ledger is at rest: what must have been
opened, left out, released and expired is there, and nothing else (I1 to I3, I5, I6, I11, I14, I15).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, pairwise
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from jobs.models import ScheduleExpression
from jobs.rules.enums import CommonStrategy, Edit, JobStatus, MisfirePolicy
from jobs.rules.spec import DependencyEdit, ScheduleEdit
from jobs.services import edit_job, set_dependencies, set_schedule, set_status, skip_slot
from sentinel_project.errors import SentinelError
from tasks_app import dispatcher, gates, planner, services, transitions
from tasks_app.models import Attempt, Event, Gap, Task
from tasks_app.rules.states import DONE, FINAL, LIVE, AttemptStatus, Finder, TaskStatus
from tasks_app.rules.steadiness import Steadiness
from tasks_app.transitions import Ending
from tasks_app.verify import verify
from tests.builders import make_app
from tests.engine import ANN, begin, claim, cron, status_of, submit
from tests.flow.engine_model import MOVES, OFF, Ledger, Model, Plan
from tests.flow.naive_time import DAY, MINUTE, OFFSETS, PATTERNS, Pattern

S = TaskStatus
A = AttemptStatus
RETRIES, RETRY_INTERVAL, MAX_FREE = 1, 10 * MINUTE, 5
#: A model looks two weeks ahead; a run ends well before.
LONGEST = 10 * DAY

#: Where clocks change: on the hour and by half an hour, over midnight, and by a whole day.
CHANGES = [
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 18, 2, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("America/St_Johns", datetime(2006, 10, 29, 2, 31, tzinfo=UTC)),
    ("Asia/Shanghai", datetime(2026, 3, 2, tzinfo=UTC)),
]
STEADY_ZONES = ["Asia/Shanghai", "Asia/Kolkata"]

#: Which thing of those that are there; taken modulo their number.
WHICH = st.integers(0, 40)
OFFSET = st.sampled_from(OFFSETS)
STRATEGY = st.sampled_from(list(CommonStrategy))
POLICY = st.sampled_from(list(MisfirePolicy))
EXPIRY = st.sampled_from([0, 0, 30, 240])
OUTCOME = st.sampled_from(["success", "success", "success", "fail", "lost", "handed back"])
SPANS = st.sampled_from([10, 20, 30, 60, 90, 240])
SHIFTS = st.sampled_from([20, 60, 90])
SECONDS = st.integers(1, 5400)
STATUSES = st.sampled_from(
    [JobStatus.ACTIVE, JobStatus.PAUSED, JobStatus.DISABLED] * 4 + [JobStatus.TRASHED]
)
PASSES: list[Callable[..., object]] = [
    planner.open_due,
    partial(planner.process_events, by=Finder.TRIGGER),
    planner.expire_due,
    planner.note_ended_windows,
    planner.run_passes,
]


@dataclass(frozen=True, slots=True)
class Wish:
    """A job that somebody wants; upstreams are counted through those that are there."""

    pattern: Pattern | None
    zone: int
    is_serial: bool
    expire: int
    policy: MisfirePolicy
    edges: dict[int, tuple[str, CommonStrategy]]


WISHES = st.builds(
    Wish,
    pattern=st.sampled_from([*PATTERNS, None, None]),
    zone=WHICH,
    is_serial=st.sampled_from([False, False, True]),
    expire=EXPIRY,
    policy=POLICY,
    edges=st.dictionaries(WHICH, st.tuples(OFFSET, STRATEGY), min_size=1, max_size=2) | st.just({}),
)


class Engine(RuleBasedStateMachine):
    """Everything happens in one thread; ``database`` opens an empty one for a run."""

    database: Callable[[], AbstractContextManager[None]]

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._stack.enter_context(type(self).database())
        self._is_at_rest = False

    @initialize(
        change=st.sampled_from(CHANGES),
        minutes=st.integers(0, 36 * 60),
        wishes=st.lists(WISHES, min_size=2, max_size=4),
    )
    def start(self, change: tuple[str, datetime], minutes: int, wishes: list[Wish]) -> None:
        self.zones = [change[0], change[0], *STEADY_ZONES]
        now = change[1] - minutes * MINUTE
        self.model = Model(now, now)
        self.app = make_app(kind="ADMIN")
        self.ended: dict[int, int] = {}
        self.fences: dict[int, int] = {}
        self.retried: dict[int, int] = {}
        self.tries: dict[int, int] = {}
        self.free: dict[int, int] = {}
        self.by_hand: set[int] = set()
        self.released: set[int] = set()
        for wish in wishes:
            self._submit(wish)

    def teardown(self) -> None:
        """Hold the whole ledger against what the schedules owe (D-73)."""
        try:
            if self._is_at_rest:
                findings = verify(now=self.now)
                assert findings.is_well, findings
        finally:
            self._stack.close()

    # -- jobs --------------------------------------------------------------------------------------

    @rule(wish=WISHES)
    @precondition(lambda self: len(self.model.plans) < 6)
    def submit(self, wish: Wish) -> None:
        self._submit(wish)

    def _submit(self, wish: Wish) -> None:
        ids = list(self.model.plans)
        edges = {ids[which % len(ids)]: edge for which, edge in wish.edges.items()} if ids else {}
        zone = self.zones[wish.zone % len(self.zones)]
        try:
            job = submit(
                self.app,
                f"job-{len(ids)}",
                now=self.now,
                schedule=(cron(wish.pattern.text),) if wish.pattern else (),
                dependencies=_edits(edges),
                time_zone=zone,
                is_serial=wish.is_serial,
                misfire_policy=wish.policy,
                expire_after=wish.expire * MINUTE,
                max_retries=RETRIES,
                retry_interval=RETRY_INTERVAL,
            )
        except SentinelError:
            return
        self.model.plans[job.pk] = Plan(
            job=job,
            pattern=wish.pattern,
            zone=zone,
            floor=self.now,
            is_serial=wish.is_serial,
            was_serial=wish.is_serial,
            expire_after=wish.expire * MINUTE,
            policy=wish.policy,
            upstreams=edges,
        )

    @rule(which=WHICH, status=STATUSES)
    @precondition(lambda self: self.model.plans)
    def set_status(self, which: int, status: JobStatus) -> None:
        plan = self._plan(which)
        if plan.status is JobStatus.TRASHED:
            return
        set_status(plan.job.pk, status, **self._by_ann)
        if plan.status is JobStatus.DISABLED and status not in OFF:
            plan.begin_anew(self.now)
        plan.is_touched = plan.is_touched or status is not plan.status
        plan.status = status

    @rule(which=WHICH, pattern=st.sampled_from(PATTERNS))
    @precondition(lambda self: self.model.plans)
    def edit_schedule(self, which: int, pattern: Pattern) -> None:
        """D-57: the model says which slot the edit skips."""
        plan = self._plan(which)
        if plan.pattern in {None, pattern}:
            return
        row = ScheduleExpression.objects.get(job=plan.job)
        edit = ScheduleEdit(mode=Edit.EDIT, expression_id=row.pk, text=pattern.text)
        try:
            change = set_schedule(plan.job.pk, [edit], **self._by_ann)
        except SentinelError:
            return
        assert change.skipped == self.model.edit_schedule(plan, pattern)

    @rule(which=WHICH, is_serial=st.booleans(), expire=EXPIRY, policy=POLICY)
    @precondition(lambda self: self.model.plans)
    def edit_policies(
        self, which: int, is_serial: bool, expire: int, policy: MisfirePolicy
    ) -> None:
        plan = self._plan(which)
        words = {"is_serial": is_serial, "expire_after": expire * MINUTE, "misfire_policy": policy}
        try:
            edit_job(plan.job.pk, words, **self._by_ann)
        except SentinelError:
            return
        plan.is_serial, plan.expire_after, plan.policy = is_serial, expire * MINUTE, policy
        plan.was_serial = plan.was_serial or is_serial

    @rule(which=WHICH, upstream=WHICH, offset=OFFSET, strategy=STRATEGY)
    @precondition(lambda self: self.model.plans)
    def edit_dependencies(
        self, which: int, upstream: int, offset: str, strategy: CommonStrategy
    ) -> None:
        plan, other = self._plan(which), self._plan(upstream)
        has = other.job.pk in plan.upstreams
        mode = Edit.DELETE if has else Edit.ADD
        edit = DependencyEdit(mode=mode, upstream_id=other.job.pk, offset=offset, strategy=strategy)
        try:
            set_dependencies(plan.job.pk, [edit], **self._by_ann)
        except SentinelError:
            return
        plan.is_touched = True
        if has:
            del plan.upstreams[other.job.pk]
        else:
            plan.upstreams[other.job.pk] = (offset, strategy)

    # -- time --------------------------------------------------------------------------------------

    @property
    def may_go_on(self) -> bool:
        return self.now < self.model.start + LONGEST

    @rule(minutes=SHIFTS, outcomes=st.lists(OUTCOME, min_size=1, max_size=8))
    @precondition(lambda self: self.may_go_on)
    def work(self, minutes: int, outcomes: list[str]) -> None:
        """Time passes with a beat that ticks when something is due, and workers that are quick."""
        self._let_time_pass(minutes, cycle(outcomes))

    @rule(minutes=SPANS)
    @precondition(lambda self: self.may_go_on)
    def idle(self, minutes: int) -> None:
        """Time passes, and no worker is there."""
        self._let_time_pass(minutes, None)

    def _let_time_pass(self, minutes: int, outcomes: Iterator[str] | None) -> None:
        end = self.now + minutes * MINUTE
        while self.now < end:
            is_new = self.model.come(self.now)
            following = self._tick()
            if outcomes and not self.model.is_paused:
                following = self._run_all(outcomes) or following
            if is_new:
                self.check_ledger()
            self.model.now = min(max(following or end, self.now + MINUTE), end)

    @rule(pauses=st.lists(SECONDS, min_size=1, max_size=4))
    @precondition(lambda self: self.may_go_on)
    def tick_now_and_then(self, pauses: list[int]) -> None:
        for seconds in pauses:
            self.model.now += timedelta(seconds=seconds)
            self._tick()
            self.check_ledger()

    @rule(minutes=SPANS)
    @precondition(lambda self: self.may_go_on)
    def outage(self, minutes: int) -> None:
        """Time passes, and nobody is there."""
        self.model.now += minutes * MINUTE

    @rule(minutes=SPANS, steps=st.lists(st.tuples(st.sampled_from(PASSES), SECONDS), max_size=6))
    @precondition(lambda self: self.may_go_on)
    def planners_take_turns(
        self, minutes: int, steps: list[tuple[Callable[..., object], int]]
    ) -> None:
        """Several planners, whose clocks are not the same, in between each other's passes."""
        self.model.now += minutes * MINUTE
        for run_pass, lag in steps:
            now = self.now - timedelta(seconds=lag)
            if run_pass in {planner.open_due, planner.run_passes}:
                self.model.come(now)
            run_pass(now=now)

    @rule(minutes=SPANS)
    def step_the_clock_back(self, minutes: int) -> None:
        """I15: a clock that is set back opens nothing twice."""
        before = _everything()
        planner.run_passes(now=self.now - minutes * MINUTE)
        assert _everything() == before

    @rule(minutes=SPANS, stays=st.booleans())
    @precondition(lambda self: self.may_go_on)
    def step_the_clock_ahead(self, minutes: int, stays: bool) -> None:
        """I15, X-9: nothing is early while the clock is in doubt; if it stays, it was an outage."""
        ahead = self.now + minutes * MINUTE
        steadiness = Steadiness(self.now, 0)
        before = _everything()
        planner.run_passes(now=ahead, opens=steadiness.is_steady(ahead, 0.5))
        assert _everything() == before
        if stays:
            self.model.now = ahead + 3 * MINUTE
            assert steadiness.is_steady(self.now, 181)

    @rule(paused=st.booleans())
    def pause_the_system(self, paused: bool) -> None:
        services.set_system_paused(paused, **self._by_ann)
        self.model.is_paused = paused

    # -- workers -----------------------------------------------------------------------------------

    def _run_all(self, outcomes: Iterator[str]) -> datetime | None:
        """Run what is ready, and what is released by that, a few levels down."""
        following = None
        for _ in range(3):
            tasks = self._startable()
            for task in tasks:
                if not self._is_busy(task):
                    self._end_as_expected(begin(task, now=self.now), next(outcomes))
            if tasks:
                following = self._tick()
        return following

    @rule(count=st.integers(1, 4), dies_early=st.sampled_from([False, False, False, True]))
    def start_what_is_ready(self, count: int, dies_early: bool) -> None:
        for task in self._startable()[:count]:
            # A second run of a serial job is held back, and a paused system starts nothing.
            if self.model.is_paused or self._is_busy(task):
                assert claim(task, now=self.now) is None
            elif dies_early:
                assert claim(task, now=self.now)
            else:
                begin(task, now=self.now)

    def _startable(self) -> list[Task]:
        ready = Task.objects.filter(status=S.READY, ready_at__lte=self.now)
        rows = dispatcher.startable(ready, now=self.now)
        return list(rows.order_by("-priority", "ready_at", "id"))

    def _is_busy(self, task: Task) -> bool:
        rows = Task.objects.filter(job_id=task.job_id, status=S.RUNNING, job__is_serial=True)
        return rows.exists()

    @rule(which=WHICH, how=OUTCOME)
    def end(self, which: int, how: str) -> None:
        live = self._live()
        if not live:
            return
        self._end_as_expected(live[which % len(live)], how)

    def _end_as_expected(self, attempt: Attempt, how: str) -> None:
        expected = self._status_after(attempt, how)
        self._end(attempt, how)
        assert status_of(attempt.task) is expected, f"{attempt.task} after {how}"

    def _live(self) -> list[Attempt]:
        rows = Attempt.objects.filter(status__in=LIVE).order_by("pk")
        return list(rows.select_related("task__job"))

    def _end(self, attempt: Attempt, how: str) -> None:
        match how:
            case "lost":
                transitions.rescue(attempt, Ending(status=A.LOST), now=self.now)
            case "handed back":
                transitions.hand_back(attempt, Ending(status=A.LOST), now=self.now)
            case _:
                word = A.SUCCESS if how == "success" else A.FAILED
                word = A.KILLED if attempt.task.kill_requested_at else word
                transitions.settle(attempt, Ending(status=word), now=self.now)

    def _status_after(self, attempt: Attempt, how: str) -> TaskStatus:
        """Say what an end makes of the task (D-50, D-53, D-56, X-6); a try that counts is noted."""
        task, status = attempt.task, self.model.plans[attempt.task.job_id].status
        if task.kill_requested_at is not None:
            return S.REMOVED if task.removes_after_kill else S.KILLED
        if how == "success":
            return S.SUCCESS
        if how == "handed back" or (how == "lost" and attempt.started_at is None):
            self.free[task.pk] = self.free.get(task.pk, 0) + (how == "lost")
            is_asked = task.is_asked and status is not JobStatus.TRASHED
            is_well = self.free[task.pk] <= MAX_FREE and (status not in OFF or is_asked)
            return S.READY if is_well else S.FAILED
        self.tries[task.pk] = self.tries.get(task.pk, 0) + 1
        return S.READY if self.tries[task.pk] <= RETRIES and status not in OFF else S.FAILED

    # -- operators ---------------------------------------------------------------------------------

    @rule(which=WHICH, verb=st.sampled_from(list(MOVES)))
    def do(self, which: int, verb: str) -> None:
        tasks = list(Task.objects.order_by("pk"))
        if not tasks:
            return
        task = tasks[which % len(tasks)]
        before = S(task.status)
        is_final = verb == "retry" and self._plan_of(task).status is JobStatus.TRASHED
        self.by_hand.add(task.pk)
        self._do(task, verb)
        expected = before if is_final else MOVES[verb].get(before, before)
        assert status_of(task) is expected, f"{verb} of {task}, {before.name}"

    def _do(self, task: Task, verb: str) -> None:
        match verb:
            case "kill":
                services.kill_tasks([task.pk], **self._by_ann)
            case "remove":
                services.remove_tasks([task.pk], **self._by_ann)
            case "retry":
                (answer,) = services.retry_tasks([task.pk], **self._by_ann)
                self.retried[task.pk] = self.retried.get(task.pk, 0) + answer.accepted
                if answer.accepted:
                    self.tries[task.pk] = self.free[task.pk] = 0
            case _:
                status = S.SUCCESS if verb == "success" else S.FAILED
                force = partial(services.force_status, task.pk, status, reason="", **self._by_ann)
                assert self._ask(force) is (S(task.status) not in DONE)

    @rule(which=WHICH, hours=st.integers(0, 3))
    @precondition(lambda self: self.model.plans)
    def rerun(self, which: int, hours: int) -> None:
        job = self._plan(which).job
        start = self.now - timedelta(hours=hours)
        self._ask(partial(services.rerun, [job.pk], start, self.now, **self._by_ann))

    @rule(which=WHICH)
    @precondition(lambda self: self.model.plans)
    def run_now(self, which: int) -> None:
        self._ask(partial(services.run_now, self._plan(which).job.pk, **self._by_ann))

    @rule(which=WHICH, hours=st.integers(0, 6))
    @precondition(lambda self: self.model.plans)
    def fill(self, which: int, hours: int) -> None:
        plan = self._plan(which)
        start = self.now - timedelta(hours=hours)
        if self._ask(partial(services.fill_gaps, plan.job.pk, start, self.now, **self._by_ann)):
            self.model.fill(plan, start, self.now)

    @rule(which=WHICH, ahead=st.integers(0, 3))
    @precondition(lambda self: self.model.plans)
    def skip(self, which: int, ahead: int) -> None:
        plan = self._plan(which)
        if plan.pattern is None:
            return
        slot = [at for at in self.model.all_slots(plan) if at > self.now][ahead]
        if self._ask(partial(skip_slot, plan.job.pk, slot, reason="", **self._by_ann)):
            plan.marked.add(slot)

    def _ask(self, request: Callable[[], object]) -> bool:
        """Make a request, and remember which tasks it opened; tell whether it was granted."""
        before = set(Task.objects.values_list("pk", flat=True))
        try:
            request()
        except SentinelError:
            return False
        self.by_hand |= set(Task.objects.values_list("pk", flat=True)) - before
        return True

    # -- at rest -----------------------------------------------------------------------------------

    @invariant()
    def at_rest(self) -> None:
        self._is_at_rest = False
        self._tick()
        self.check_ledger()
        for task in Task.objects.prefetch_related("attempts"):
            self._check_history(task)
        self._check_offered()
        self._is_at_rest = True

    def _check_offered(self) -> None:
        """X-4: what the gates would let start is rung, or it would wait for ever."""
        ready = Task.objects.filter(status=S.READY, ready_at__lte=self.now)
        judged = [
            task.pk
            for task in ready.select_related("job__app", "worker_group")
            if gates.first_blocking(gates.starting_gates(task, is_paused=False, now=self.now))
            is None
        ]
        assert {task.pk for task in self._startable()} == set(judged)

    def check_ledger(self) -> None:
        ledger = Ledger(self.model)
        for plan in self.model.plans.values():
            self._check_slots(plan, ledger)
            self._check_names(plan, ledger)
            for task in ledger.tasks[plan.job.pk].values():
                self._check_waiting(plan, task, ledger)

    def _check_slots(self, plan: Plan, ledger: Ledger) -> None:
        """I1, I15: what the model opened is there, what it left out is in a gap that says why."""
        if plan.pattern is None:
            return
        opened = ledger.dues(plan)
        assert opened == plan.opened, f"{plan.job}: {sorted(opened ^ plan.opened)}"
        reasons = {at: ledger.reason_at(plan, at) for at in plan.left_out}
        assert reasons == plan.left_out
        for at in plan.skipped:
            assert ledger.tasks[plan.job.pk][at].status == S.REMOVED, f"{plan.job} {at}"

    def _check_names(self, plan: Plan, ledger: Ledger) -> None:
        """D-36, I11: a done run of the only upstream, with the empty offset, has named one."""
        if plan.pattern is not None or plan.is_touched or len(plan.upstreams) != 1:
            return
        ((upstream_id, (offset, _)),) = plan.upstreams.items()
        if self.model.plans[upstream_id].is_touched:
            return
        for due, task in ledger.tasks[upstream_id].items():
            is_named = due in ledger.tasks[plan.job.pk]
            if offset == "" and _names(task) and due >= plan.floor:
                assert is_named, f"{plan.job} has no run due {due}"

    def _check_waiting(self, plan: Plan, task: Task, ledger: Ledger) -> None:
        """I11, I14: what waits has a reason to, what went had none left, nothing is overdue."""
        is_satisfied = self.model.is_satisfied(plan, task.due_at, ledger)
        if task.status == S.WAITING:
            assert is_satisfied is not True, f"{task} ({plan.job} {task.due_at}) waits in vain"
            assert task.reason, f"{task} waits, and does not say why"
        elif task.released_at and task.pk not in self.released | self.by_hand:
            self.released.add(task.pk)
            assert is_satisfied is not False, f"{task} ({plan.job} {task.due_at}) went too early"
        is_exempt = plan.was_serial or task.pk in self.by_hand or task.attempt_count
        if task.status in {S.WAITING, S.READY} and plan.expire_after and not is_exempt:
            assert task.due_at + plan.expire_after > self.now, f"{task} is overdue"

    def _check_history(self, task: Task) -> None:
        attempts = sorted(task.attempts.all(), key=lambda attempt: attempt.number)
        live = [attempt for attempt in attempts if attempt.status in LIVE]
        assert len(live) == (task.status == S.RUNNING), f"I2: {task} is {task.status}"
        assert [a.number for a in attempts] == list(range(1, len(attempts) + 1))
        fences = [a.fence for a in attempts]
        assert fences == sorted(set(fences)), "I3"
        assert task.fence >= max([self.fences.get(task.pk, 0), *fences]), "I3"
        assert self.ended.get(task.pk, task.status) == task.status, "I5"
        assert task.reason != "EXPIRED" or not attempts, "I14"
        is_slot = task.opened_by_expression_id is not None
        assert not is_slot or task.due_at <= task.opened_at <= self.now, "I15"
        assert (task.ended_at is not None) == (task.status in FINAL)
        self._check_tries(task, attempts)
        self.fences[task.pk] = task.fence
        if task.status in DONE:
            self.ended[task.pk] = task.status

    def _check_tries(self, task: Task, attempts: Sequence[Attempt]) -> None:
        """I6: no more tries than the budget, and a pause between them."""
        free = sum(a.status == A.LOST for a in attempts)
        retried = self.retried.get(task.pk, 0)
        assert len(attempts) <= (1 + RETRIES) * (1 + retried) + free, "I6"
        for one, following in pairwise(attempts):
            assert one.ended_at is not None
            if one.status == A.FAILED and not retried:
                assert following.claimed_at >= one.ended_at + RETRY_INTERVAL, "I6"

    # -- helpers -----------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.model.now

    @property
    def _by_ann(self) -> dict[str, Any]:
        return {"app": self.app, "user": ANN, "now": self.now}

    def _tick(self) -> datetime | None:
        """Tick until nothing is left to carry on: what expires leaves an event, too."""
        self.model.come(self.now)
        following = planner.run_passes(now=self.now)
        while Event.objects.filter(processed_at__isnull=True, faults=0).exists():
            following = planner.run_passes(now=self.now)
        assert not Event.objects.filter(faults__gt=0).exists(), "an event failed"
        return following

    def _plan(self, which: int) -> Plan:
        return list(self.model.plans.values())[which % len(self.model.plans)]

    def _plan_of(self, task: Task) -> Plan:
        return self.model.plans[task.job_id]


def _edits(upstreams: dict[int, tuple[str, CommonStrategy]]) -> tuple[DependencyEdit, ...]:
    return tuple(
        DependencyEdit(upstream_id=upstream_id, offset=offset, strategy=strategy)
        for upstream_id, (offset, strategy) in upstreams.items()
    )


def _names(task: Task) -> bool:
    """Tell whether a run that is done names others: not if no operator removed it (D-36)."""
    by_operator = {"REMOVED_BY_USER", "SKIPPED_BY_USER"}
    return task.status == S.SUCCESS or (task.status == S.REMOVED and task.reason in by_operator)


def _everything() -> list[Any]:
    """Return all that a planner may change."""
    return [
        *Task.objects.order_by("pk").values_list("pk", "due_at", "status", "reason", "ready_at"),
        *Gap.objects.order_by("pk").values_list("pk", "from_at", "to_at", "reason"),
        *ScheduleExpression.objects.order_by("pk").values_list("pk", "next_due_at"),
    ]
