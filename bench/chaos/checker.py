"""What must hold when the faults are over: I1 to I15 over witness, database and API history.

And no attempt may have failed for a reason of ours that no fault explains.

Pure but for its callers: it takes rows and lines, and returns what is wrong in words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

SUCCESS, FAILED, KILLED, REMOVED = 4, 5, 6, 99
FINAL = {SUCCESS, FAILED, KILLED, REMOVED}
MAX_FREE = 5
#: Reasons that no job gives.
_OURS = {"BROKEN", "GUARD_LOST", "SPAWN_FAILED"}
#: A witness reads its machine's uptime in hundredths of a second.
_BLUR = 0.011


@dataclass(frozen=True, slots=True)
class Line:
    """A witness's word: which attempt, with which fence, said what at which uptime."""

    task: int
    attempt: int
    fence: int
    word: str
    at: float


@dataclass(frozen=True, slots=True)
class Try:
    number: int
    fence: int
    status: str
    reason: str
    claimed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    printed: bytes | None = None
    is_end: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A task as it is at rest, with its tries in order."""

    id: int
    job_id: int
    status: int
    reason: str
    due_at: datetime
    opened_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    fence: int
    max_retries: int
    retry_interval: timedelta
    tries: Sequence[Try] = field(default=())


def read_witness(text: str) -> list[Line]:
    """Parse whole lines; a line that a full disk or a kill cut short is left out."""
    rows = (line.split() for line in text.splitlines())
    return [Line(int(t), int(a), int(f), w, float(at)) for t, a, f, w, at in _whole(rows)]


def _whole(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    return (row for row in rows if len(row) == 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the API has said, and what follows from it.

    ``accepted`` maps jobs to how many tasks each must have at least, ``upstreams`` dependents to
    what they wait for, ``expected`` jobs to what a success of theirs prints. ``ended`` tells of
    parts that ended and that no fault had hit, and ``excused`` for which reasons of ours a fault
    may have had attempts fail. ``booted_at`` is when the witnesses' uptime was 0, and ``now`` when
    all was over, both by a clock that was not stepped.
    """

    accepted: Mapping[int, int] = field(default_factory=dict)
    upstreams: Mapping[int, Sequence[int]] = field(default_factory=dict)
    expected: Mapping[int, bytes] = field(default_factory=dict)
    seen_success: Iterable[int] = ()
    killed: Iterable[int] = ()
    ended: Iterable[str] = ()
    excused: Collection[str] = ()
    booted_at: datetime | None = None
    now: datetime | None = None


def check(runs: Sequence[Run], lines: Sequence[Line], history: History) -> list[str]:
    """Return every violation, each beginning with the name of its invariant."""
    by_id = {run.id: run for run in runs}
    return [
        *_one_per_slot(runs),
        *_not_early(runs, lines, history),
        *_at_rest(runs),
        *_fences(runs),
        *_budgets(runs),
        *_witnesses(by_id, lines),
        *_seen_ends(runs, lines),
        *_overlaps(lines),
        *_expired(by_id, lines),
        *_outputs(runs, history.expected),
        *_order(runs, history.upstreams),
        *_promises(runs, history),
        *_our_failures(runs, history.excused),
    ]


def _our_failures(runs: Sequence[Run], excused: Collection[str]) -> Iterator[str]:
    """What the jobs do is all that may make them fail."""
    for run in runs:
        for t in run.tries:
            if t.reason in _OURS and t.reason not in excused:
                yield f"own task {run.id}: attempt {t.number} failed for {t.reason}"


def _promises(runs: Sequence[Run], history: History) -> Iterator[str]:
    statuses = {run.id: run.status for run in runs}
    for task in history.seen_success:
        if statuses[task] != SUCCESS:
            yield f"I5 task {task}: its success did not stay"
    for task in history.killed:
        if statuses[task] not in FINAL:
            yield f"I12 task {task}: neither killed nor ended"
    for words in history.ended:
        yield f"parts: it ended by itself: {words}"
    count = Counter(run.job_id for run in runs)
    for job_id, least in history.accepted.items():
        if count[job_id] < least:
            yield f"I12 job {job_id}: accepted, and has {count[job_id]} tasks"


def _one_per_slot(runs: Sequence[Run]) -> Iterator[str]:
    seen: set[tuple[int, datetime]] = set()
    for run in runs:
        if (run.job_id, run.due_at) in seen:
            yield f"I1 task {run.id}: a second one of its slot"
        seen.add((run.job_id, run.due_at))
        if run.opened_at < run.due_at - timedelta(seconds=1):
            yield f"I15 task {run.id}: opened before its due time"


def _not_early(runs: Sequence[Run], lines: Sequence[Line], history: History) -> Iterator[str]:
    """The rows tell instants by clocks that may have been wrong; the witnesses' was not."""
    second = timedelta(seconds=1)
    spoke: dict[int, float] = {}
    for line in lines:
        spoke[line.task] = min(line.at, spoke.get(line.task, line.at))
    for run in runs:
        if history.now is not None and run.due_at > history.now + second:
            yield f"I15 task {run.id}: its due time has not come yet"
        if history.booted_at is not None and run.id in spoke:
            at = history.booted_at + timedelta(seconds=spoke[run.id])
            if at < run.due_at - second:
                yield f"I15 task {run.id}: ran before its due time"


def _at_rest(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        live = [t.number for t in run.tries if t.ended_at is None]
        if len(live) > 1 or (live and run.status in FINAL):
            yield f"I2 task {run.id}: attempts {live} are live"
        if run.status not in FINAL and run.reason != "UPSTREAM_FAILED":
            yield f"I7 task {run.id}: it neither ran nor ended, status {run.status} {run.reason}"
        for before, after in pairwise(run.tries):
            if before.ended_at is None or after.claimed_at < before.ended_at:
                yield f"I2 task {run.id}: attempt {after.number} began before the last one's end"
        won = [t.number for t in run.tries if t.status == "SUCCESS"]
        if len(won) > 1 or (won and won[0] != len(run.tries)):
            yield f"I5 task {run.id}: went on after the success of attempt {won[0]}"


def _fences(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        fences = [t.fence for t in run.tries]
        if any(after <= before for before, after in pairwise(fences)):
            yield f"I3 task {run.id}: fences {fences} do not grow"
        if fences and run.fence < fences[-1]:
            yield f"I3 task {run.id}: its fence fell to {run.fence}"
        if [t.number for t in run.tries] != list(range(1, len(run.tries) + 1)):
            yield f"I3 task {run.id}: its attempts are not numbered one by one"


def _budgets(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        counted = [t for t in run.tries if t.started_at is not None and t.reason != "SHUTDOWN"]
        never_started = sum(t.started_at is None for t in run.tries)
        if len(counted) > 1 + run.max_retries:
            yield f"I6 task {run.id}: {len(counted)} tries of {1 + run.max_retries}"
        if never_started > MAX_FREE + 1:
            yield f"I6 task {run.id}: {never_started} tries for nothing"
        for before, after in pairwise(counted):
            ended = before.ended_at or before.claimed_at
            if after.claimed_at < ended + run.retry_interval - timedelta(milliseconds=50):
                yield f"I6 task {run.id}: attempt {after.number} came too early"


def _witnesses(runs: Mapping[int, Run], lines: Sequence[Line]) -> Iterator[str]:
    started: set[tuple[int, int]] = set()
    for line in lines:
        run = runs.get(line.task)
        if run is None or line.attempt > len(run.tries):
            yield f"I4 task {line.task}: attempt {line.attempt} ran and is not recorded"
        elif run.tries[line.attempt - 1].fence != line.fence:
            yield f"I4 task {line.task}: attempt {line.attempt} ran with fence {line.fence}"
        if line.word == "start":
            if (line.task, line.attempt) in started:
                yield f"I9 task {line.task}: attempt {line.attempt} was started twice"
            started.add((line.task, line.attempt))


def _seen_ends(runs: Sequence[Run], lines: Sequence[Line]) -> Iterator[str]:
    ended = {(line.task, line.attempt) for line in lines if line.word == "end"}
    seen = {(line.task, line.attempt) for line in lines}
    for run in runs:
        for t in run.tries:
            if t.status == "SUCCESS" and (run.id, t.number) not in ended:
                yield f"I4 task {run.id}: attempt {t.number} succeeded and was not seen to end"
            if t.started_at is None and (run.id, t.number) in seen:
                yield f"I4 task {run.id}: attempt {t.number} ran before its start was committed"


def _overlaps(lines: Sequence[Line]) -> Iterator[str]:
    first: dict[tuple[int, int], float] = {}
    last: dict[tuple[int, int], float] = {}
    for line in lines:
        key = (line.task, line.attempt)
        first[key] = min(first.get(key, line.at), line.at)
        last[key] = max(last.get(key, line.at), line.at)
    attempts: dict[int, list[int]] = defaultdict(list)
    for task, number in sorted(first):
        attempts[task].append(number)
    for task, numbers in attempts.items():
        for before, after in pairwise(numbers):
            late = last[task, before] - first[task, after]
            if late > _BLUR:
                yield f"I9 task {task}: attempt {before} ran {late:.2f} s into attempt {after}"


def _expired(runs: Mapping[int, Run], lines: Sequence[Line]) -> Iterator[str]:
    ran = {line.task for line in lines}
    for run in runs.values():
        if run.reason == "EXPIRED" and (run.tries or run.id in ran):
            yield f"I14 task {run.id}: expired and ran"


def _outputs(runs: Sequence[Run], expected: Mapping[int, bytes]) -> Iterator[str]:
    for run in runs:
        for t in run.tries:
            if not t.is_end:
                yield f"I10 task {run.id}: the output of attempt {t.number} is never said to end"
            whole = expected.get(run.job_id)
            if whole is None or t.printed is None:
                continue
            if t.status == "SUCCESS" and t.printed != whole:
                yield f"I10 task {run.id}: read {len(t.printed)} bytes, printed {len(whole)}"
            elif not whole.startswith(t.printed):
                yield f"I10 task {run.id}: attempt {t.number} printed what it did not"


def _order(runs: Sequence[Run], upstreams: Mapping[int, Sequence[int]]) -> Iterator[str]:
    at = {(run.job_id, run.due_at): run for run in runs}
    pairs = ((run, up) for run in runs for up in upstreams.get(run.job_id, ()))
    for run, upstream in pairs:
        before = at.get((upstream, run.due_at))
        is_done = before is not None and before.status in {SUCCESS, REMOVED}
        if before is None or (run.started_at and not is_done):
            yield f"I11 task {run.id}: ran without its upstream"
        elif run.started_at and before.ended_at and run.started_at < before.ended_at:
            yield f"I11 task {run.id}: started before its upstream's success"
