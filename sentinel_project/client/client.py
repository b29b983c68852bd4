"""The client: a method per question or verb, typed as the wire's documents say."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, cast

from jobs.rules.enums import JobStatus
from sentinel_project.client import answers, following
from sentinel_project.client.calls import Calls
from sentinel_project.client.errors import Refusal
from sentinel_project.client.following import Piece, StreamName
from sentinel_project.client.signing import Signer, TokenForm
from tasks_app.rules.states import TaskStatus

_PAGE = 1000


class Client:
    """An app's calls to one installation.

    ``user`` is recorded as who acts; by default the login name. Fields are given by their names in
    docs/wire.md. A refusal is a ``Refusal`` with the server's message; a call that nothing answers
    is repeated ``retries`` times, safely, and then ``Unreachable``.
    """

    def __init__(
        self,
        url: str,
        *,
        app: str,
        key: str,
        user: str = "",
        token: TokenForm = TokenForm.STRONG,
        timeout: float = 30,
        retries: int = 3,
    ) -> None:
        signer = Signer(app, key, user or getpass.getuser(), token)
        self.calls = Calls(url, signer, timeout=timeout, retries=retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.calls.close()

    # Definitions

    def submit(self, *, request_id: str = "", **fields: Any) -> answers.Submitted:
        """Store a job, for example ``jobName="x", jobType="shell", content="date"``."""
        made = self.calls.change("job/submit", request_id=request_id, **fields)
        return cast(answers.Submitted, made)

    def edit(self, job_id: int, *, request_id: str = "", **fields: Any) -> answers.Edited:
        """Change what is given, and leave the rest."""
        done = self.calls.change("job/edit", request_id=request_id, jobId=job_id, **fields)
        return cast(answers.Edited, done)

    def preview(self, job_id: int | None = None, **fields: Any) -> answers.Preview:
        """Say what a submission of ``fields``, or that edit of a job, would do; keep nothing."""
        named = fields if job_id is None else {"jobId": job_id, **fields}
        return cast(answers.Preview, self.calls.read("job/preview", **named))

    def job(self, job_id: int) -> dict[str, Any]:
        """Return the whole definition, as ``submit`` would take it, with ids."""
        return cast(dict[str, Any], self.calls.read("job/query", jobId=job_id))

    def jobs(self, **filters: Any) -> Iterator[answers.JobBrief]:
        """Yield the jobs that meet every filter, the newest first."""
        yield from self._pages("job/list", "jobs", filters)

    def plan(self, start: int, end: int, **filters: Any) -> list[answers.PlannedRun]:
        """Return the runs owed from ``start`` up to ``end``, in epoch milliseconds."""
        found = self.calls.read("job/plan", **{"from": start, "to": end}, **filters)
        return cast(list[answers.PlannedRun], found["runs"])

    def set_job_status(self, job_ids: Sequence[int], status: JobStatus) -> list[answers.JobOutcome]:
        """Enable, disable, pause or trash jobs, each for itself: a ``code`` of 1 was refused."""
        asked = {"jobIds": list(job_ids), "status": int(status)}
        return cast(list[answers.JobOutcome], self._each("job/status/set", asked))

    def apps(self, **filters: Any) -> Iterator[answers.AppBrief]:
        """Yield the apps that meet every filter, the newest first; for ADMIN apps."""
        yield from self._pages("app/list", "apps", filters)

    # Runs

    def run(self, job_id: int, **changes: Any) -> int:
        """Start a run now, with other ``params`` if given, and return its taskId."""
        return int(self.calls.change("job/run", jobId=job_id, **changes)["taskId"])

    def skip(self, job_id: int, slot: int, *, reason: str = "") -> None:
        """Mark a slot to come, in epoch milliseconds: it will open as REMOVED."""
        self.calls.change("job/skip", jobId=job_id, scheduleTime=slot, reason=reason)

    def fill(self, job_id: int, start: int, end: int) -> list[int]:
        """Open the slots of gaps from ``start`` to ``end``, both included; return their taskIds."""
        span: dict[str, Any] = {"from": start, "to": end}
        done = self.calls.change("job/fill", jobId=job_id, **span)
        return cast(list[int], done["taskIds"])

    def rerun(
        self, job_ids: Sequence[int], start: int, end: int, *, with_dependents: bool = False
    ) -> answers.Batch:
        """Run past due times once more, from ``start`` to ``end``, both included."""
        asked = _rerun(job_ids, start, end, with_dependents)
        return cast(answers.Batch, self.calls.change("task/rerun", **asked))

    def plan_rerun(
        self, job_ids: Sequence[int], start: int, end: int, *, with_dependents: bool = False
    ) -> answers.BatchPlan:
        """Say what ``rerun`` would run."""
        asked = _rerun(job_ids, start, end, with_dependents)
        return cast(answers.BatchPlan, self.calls.change("task/rerun", **asked, dryRun=True))

    # Tasks

    def tasks(self, job_id: int, **filters: Any) -> Iterator[answers.TaskBrief]:
        """Yield the tasks of a job that meet every filter, the latest due first."""
        yield from self._pages("job/query/taskIds", "tasks", {"jobId": job_id, **filters})

    def task_of(self, job_id: int) -> answers.TaskStanding:
        """Return how the only task of a one-off stands."""
        return cast(answers.TaskStanding, self.calls.read("job/query/status", jobId=job_id))

    def task(self, task_id: int) -> answers.TaskWhole:
        return cast(answers.TaskWhole, self.calls.read("task/query", taskId=task_id))

    def standing(self, task_id: int) -> answers.TaskStanding:
        return cast(answers.TaskStanding, self.calls.read("task/query/status", taskId=task_id))

    def kill(self, *task_ids: int) -> list[answers.TaskOutcome]:
        """Stop tasks, each for itself: a ``code`` of 1 was refused."""
        return self._verb("task/kill", task_ids)

    def retry(self, *task_ids: int) -> list[answers.TaskOutcome]:
        """Try failed and killed tasks again, each for itself."""
        return self._verb("task/retry", task_ids)

    def remove(self, *task_ids: int) -> list[answers.TaskOutcome]:
        """Take tasks out, each for itself; they count as done."""
        return self._verb("task/remove", task_ids)

    def force(self, task_id: int, status: TaskStatus, *, reason: str = "") -> answers.TaskStanding:
        """Set a task to SUCCESS or FAILED; for ADMIN apps."""
        done = self.calls.change(
            "task/modify/status", taskId=task_id, status=int(status), reason=reason
        )
        return cast(answers.TaskStanding, done)

    def explain(self, **run: int) -> answers.Explanation:
        """Say what holds a run: ``taskId=``, or ``jobId=`` and ``scheduleTime=``."""
        return cast(answers.Explanation, self.calls.read("task/explain", **run))

    def timeline(self, task_id: int) -> answers.Timeline:
        return cast(answers.Timeline, self.calls.read("task/timeline", taskId=task_id))

    # Output

    def read_stream(
        self, task_id: int, stream: StreamName, *, attempt: int = 1, offset: int = 0
    ) -> answers.Slice:
        """Return a piece of what an attempt printed; ``offset``, in bytes, is where it begins."""
        return following.read(self.calls, stream, task_id, attempt, offset)

    def follow(self, task_id: int, stream: StreamName, *, attempt: int = 1) -> Iterator[Piece]:
        """Yield what is printed, as it is printed, attempt after attempt, until the task ends."""
        return following.follow(self.calls, task_id, stream, attempt)

    def wait(
        self,
        task_id: int,
        *,
        timeout: float | None = None,
        seen: Callable[[answers.TaskStanding], None] = lambda _: None,
    ) -> answers.TaskStanding:
        """Wait until a task has ended and return how; ``GaveUp`` after ``timeout`` seconds.

        ``seen`` is told how the task stands at first, and after each change.
        """
        return following.wait(self.calls, task_id, timeout, seen)

    def _verb(self, path: str, task_ids: Sequence[int]) -> list[answers.TaskOutcome]:
        return cast(list[answers.TaskOutcome], self._each(path, {"taskIds": list(task_ids)}))

    def _each(self, path: str, asked: dict[str, Any]) -> Any:
        """Return what became of each item, also if some were refused."""
        try:
            return self.calls.change(path, **asked)["results"]
        except Refusal as refusal:
            if isinstance(refusal.data, dict) and "results" in refusal.data:
                return refusal.data["results"]
            raise

    def _pages(self, path: str, name: str, filters: dict[str, Any]) -> Iterator[Any]:
        """Yield the items of every page; one page only if ``filters`` set a limit."""
        asked = {"limit": _PAGE, **filters}
        while True:
            page = self.calls.read(path, **asked)
            yield from page[name]
            if not page["cursor"] or "limit" in filters:
                return
            asked["cursor"] = page["cursor"]


def _rerun(job_ids: Sequence[int], start: int, end: int, with_dependents: bool) -> dict[str, Any]:
    return {
        "jobIdList": list(job_ids),
        "startDate": start,
        "endDate": end,
        "withDependents": with_dependents,
    }
