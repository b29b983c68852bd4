"""What a run of a job is made of: its text found, its placeholders filled in (D-59, D-86).

Asked of a submission, which refuses what could not run, of a preview, and as an attempt starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any, cast

from jobs import lookup
from jobs.models import App, Job
from jobs.rules import allowance
from jobs.rules.enums import ContentType, CredentialKind
from jobs.rules.spec import JobSpec
from sentinel_project.errors import InvalidParameters
from tasks_app.executors import JOB_TYPES, job_type_of, job_types
from tasks_app.executors.jobtype import JobType
from tasks_app.executors.params import Refers
from tasks_app.rules.substitution import Template, Values, parse, render_params


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a job says about what it runs, with its placeholders as they were written."""

    app: App
    job_type: str
    content: str
    content_type: ContentType
    extra: Mapping[str, Any]
    group_id: int
    #: 0: it is not submitted yet.
    job_id: int = 0

    @property
    def kind(self) -> JobType:
        return job_type_of(self.job_type)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What really runs. ``content`` of an artifact is its id."""

    content: str
    extra: dict[str, Any]


def work_of(spec: JobSpec, app: App) -> Work:
    return Work(
        app=app,
        job_type=spec.job_type,
        content=spec.content,
        content_type=spec.content_type,
        extra=spec.extra,
        group_id=spec.worker_group_id,
    )


def work_of_job(
    job: Job,
    *,
    content: str | None = None,
    extra: Mapping[str, Any] | None = None,
    group_id: int | None = None,
) -> Work:
    """Return what a job runs; an attempt has copies of its own, a run-now its own parameters."""
    return Work(
        app=job.app,
        job_type=job.job_type,
        content=job.content if content is None else content,
        content_type=ContentType(job.content_type),
        extra=job.extra if extra is None else extra,
        group_id=cast(int, job.worker_group_id) if group_id is None else group_id,
        job_id=job.pk,
    )


def problems_of(work: Work, *, at: datetime) -> Iterator[str]:
    """Yield why the work could not run, each a sentence that names its field.

    Placeholders are tried with ``at``, in the job's zone, as both times.
    """
    if work.job_type not in JOB_TYPES:
        yield f"jobType: there is no {work.job_type} any more; known are {', '.join(job_types())}"
        return
    problem = allowance.refusal(work.app.allowed_types, work.job_type, work.group_id)
    if problem is not None:
        yield f"jobType: {problem}"
    found = list(work.kind.content_problems(work.content, work.content_type))
    yield from found
    template: Template | None = None
    if not found:
        try:
            template = _template(work)
        except InvalidParameters as refusal:
            yield from _named("content", refusal)
    referred = work.extra.keys() if template is None else template.names
    yield from work.kind.param_problems(work.extra, referred)
    yield from _reference_problems(work)
    if template is not None:
        yield from _trial_problems(work, template, at)


def _trial_problems(work: Work, template: Template, at: datetime) -> Iterator[str]:
    """Yield what cannot be filled in: a shift out of the calendar, a value no shell can quote."""
    try:
        _filled(work, template, _values_at(work, at))
    except InvalidParameters as refusal:
        yield from refusal.problems


def _values_at(work: Work, at: datetime) -> Values:
    """Return values of a run that is not there: its task is 0."""
    return Values(
        job_id=work.job_id,
        task_id=0,
        attempt_number=1,
        schedule_time=at,
        data_time=at,
        params=work.extra,
    )


def trial(work: Work, due_at: datetime, zone: tzinfo) -> Rendered:
    """Return what a run due at ``due_at`` would run; its task, not yet there, is 0."""
    return render(work, _values_at(work, due_at.astimezone(zone)))


def render(work: Work, values: Values) -> Rendered:
    """Return what runs with ``values``; refused, naming each field, where it could not run."""
    found = list(work.kind.content_problems(work.content, work.content_type))
    if found:
        raise InvalidParameters(*found)
    try:
        template = _template(work)
    except InvalidParameters as refusal:
        raise InvalidParameters(*_named("content", refusal)) from None
    found = list(work.kind.param_problems(work.extra, template.names))
    if found:
        raise InvalidParameters(*found)
    return _filled(work, template, values)


def _template(work: Work) -> Template:
    if work.kind.reads_artifact(work.content_type):
        lookup.artifact(work.content, work.app)
        return Template(work.content, (work.content,))
    if not work.kind.reads_script(work.content_type):
        return parse(work.content, work.extra)
    version = lookup.script_version(work.content, work.app)
    if problem := work.kind.text_problem(version.text):
        raise InvalidParameters(f"script {version}: {problem}")
    try:
        return parse(version.text, work.extra)
    except InvalidParameters as refusal:
        raise InvalidParameters(*_named(f"script {version}", refusal)) from None


def _filled(work: Work, template: Template, values: Values) -> Rendered:
    extra = render_params(work.extra, values)
    told = replace(values, params=extra)
    try:
        return Rendered(template.render(told, is_shell=work.kind.is_shell), extra)
    except InvalidParameters as refusal:
        raise InvalidParameters(*_named("content", refusal)) from None


def _named(field: str, refusal: InvalidParameters) -> Iterable[str]:
    return [f"{field}: {problem}" for problem in refusal.problems]


def _reference_problems(work: Work) -> Iterator[str]:
    """Yield what parameters name and nobody registered."""
    kind = work.kind
    names = kind.referred(work.extra, {Refers.CONNECTION, Refers.SECRET})
    if names:
        found, missing = lookup.credentials(names, app=work.app, group_id=work.group_id)
        for name in missing:
            yield f"params: nothing is registered as {name!r} for worker group {work.group_id}"
        for name in kind.referred(work.extra, {Refers.CONNECTION}):
            if name in found and found[name].kind != CredentialKind.CONNECTION:
                yield f"params: {name!r} is a secret, and a connection is needed"
    for reference in kind.referred(work.extra, {Refers.ARTIFACT}):
        try:
            lookup.artifact(reference, work.app)
        except InvalidParameters as refusal:
            yield from _named("params", refusal)
