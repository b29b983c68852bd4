"""From an attempt to what its executor is handed, or to why it cannot run at all (D-59, D-86)."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings

from jobs import artifact_files, keys, lookup, rendering
from jobs.rendering import Rendered, Work
from jobs.rules import allowance
from jobs.rules.enums import CredentialKind
from logs_app import store
from sentinel_project.errors import InvalidParameters
from tasks_app.executors.base import Execution, Outcome, failed
from tasks_app.executors.params import Refers
from tasks_app.executors.yarn import Applications
from tasks_app.models import Attempt
from tasks_app.rules.limits import limits_of, parse
from tasks_app.rules.states import AttemptStatus, Reason
from tasks_app.rules.substitution import Values


@dataclass(frozen=True, slots=True)
class Prepared:
    """What runs; ``rendered`` is kept on the attempt, ``execution`` holds secrets and is not."""

    execution: Execution = field(repr=False)
    rendered: Rendered


def prepare(attempt: Attempt, held: ExitStack) -> Prepared | Outcome:
    """Find and fill in what the attempt needs; its files stay until ``held`` is closed.

    What is missing or not allowed ends it, with what to do about it and without a retry.
    """
    task = attempt.task
    work = rendering.work_of_job(
        task.job, content=attempt.content, extra=attempt.extra, group_id=task.worker_group_id
    )
    refusal = allowance.refusal(work.app.allowed_types, work.job_type, work.group_id)
    if refusal is not None:
        return failed("TYPE_NOT_ALLOWED", refusal, is_final=True)
    try:
        rendered = rendering.render(work, _values(attempt))
        return Prepared(_execution(attempt, work, rendered, held), rendered)
    except InvalidParameters as error:
        is_about_params = all(problem.startswith("params") for problem in error.problems)
        reason = "BAD_PARAMS" if is_about_params else "BAD_CONTENT"
        return failed(reason, str(error), is_final=True)


def _values(attempt: Attempt) -> Values:
    task = attempt.task
    return Values(
        job_id=task.job_id,
        task_id=task.pk,
        attempt_number=attempt.number,
        schedule_time=task.due_at.astimezone(task.job.zone),
        data_time=task.data_at.astimezone(task.job.zone),
        params=attempt.extra,
    )


def _execution(attempt: Attempt, work: Work, rendered: Rendered, held: ExitStack) -> Execution:
    task, job = attempt.task, attempt.task.job
    references = work.kind.referred(rendered.extra, {Refers.ARTIFACT})
    if work.kind.reads_artifact(work.content_type):
        references.append(rendered.content)
    return Execution(
        job_id=job.pk,
        task_id=task.pk,
        attempt_number=attempt.number,
        fence=attempt.fence,
        job_type=job.job_type,
        content=rendered.content,
        content_type=work.content_type,
        extra=rendered.extra,
        schedule_time=task.due_at.astimezone(job.zone),
        data_time=task.data_at.astimezone(job.zone),
        timeout=job.timeout or None,
        work_root=settings.SENTINEL_WORK_DIR,
        worker_group_id=work.group_id,
        limits=limits_of(parse(settings.SENTINEL_LIMITS), job.job_type, work.group_id),
        artifacts={
            reference: held.enter_context(
                artifact_files.file_of(lookup.artifact(reference, work.app))
            )
            for reference in references
        },
        credentials=_credentials(work, rendered),
        left_behind=_left_behind(attempt) if work.kind.is_client(rendered.extra) else {},
    )


def _left_behind(attempt: Attempt) -> dict[str, datetime]:
    """Return what the LOG of attempts that were lost with their worker tells of applications."""
    found: dict[str, datetime] = {}
    lost = attempt.task.attempts.filter(status=AttemptStatus.LOST.value, reason=Reason.LOST.value)
    for attempt_id, claimed_at in lost.order_by("-number").values_list("pk", "claimed_at"):
        applications = Applications()
        for piece in store.pieces_of_log(attempt_id):
            applications.feed(piece)
        found |= dict.fromkeys(applications.all(), claimed_at)
    return found


def _credentials(work: Work, rendered: Rendered) -> dict[str, str]:
    names = work.kind.referred(rendered.extra, {Refers.CONNECTION, Refers.SECRET})
    if not names:
        return {}
    found, missing = lookup.credentials(names, app=work.app, group_id=work.group_id)
    if missing:
        listed = ", ".join(missing)
        raise InvalidParameters(
            f"params: nothing is registered as {listed} for worker group {work.group_id};"
            " an operator adds connections and secrets"
        )
    for name in work.kind.referred(rendered.extra, {Refers.CONNECTION}):
        if found[name].kind != CredentialKind.CONNECTION:
            raise InvalidParameters(f"params: {name!r} is a secret, and a connection is needed")
    try:
        return {name: keys.unseal(found[name].sealed) for name in names}
    except keys.Unreadable:
        raise InvalidParameters(
            "params: a secret was sealed under a SENTINEL_SECRET_KEY that is not known any more;"
            " an operator must set it anew"
        ) from None
