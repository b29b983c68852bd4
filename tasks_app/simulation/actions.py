"""The actions of a rehearsal, each the very service that the API and the admin call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jobs.models import DependencyEntry, Job, ScheduleExpression
from jobs.rules.enums import Edit, JobStatus
from jobs.rules.spec import DependencyEdit, ScheduleEdit
from jobs.services import set_dependencies, set_schedule, set_status, skip_slot
from sentinel_project.errors import InvalidParameters, Refused, SentinelError
from tasks_app import explain, services
from tasks_app.models import Task
from tasks_app.rules.states import TaskStatus
from tasks_app.simulation import document
from tasks_app.simulation.fields import instant, listed

if TYPE_CHECKING:
    from tasks_app.simulation.world import World

USER = "simulation"


def perform(action: document.Action, world: World) -> None:
    """Do one action; a refusal is noted with its message and changes nothing."""
    try:
        _ACTIONS[action.do](action.values, world)
    except SentinelError as refusal:
        noted = {"at": world.labels.time(world.now), "do": action.do}
        shown = {key: value for key, value in action.values.items() if key in {"task", "job"}}
        world.refused.append({**noted, **shown, "msg": str(refusal)})


def _verb(
    verb: Callable[..., list[services.TaskAnswer]], values: Mapping[str, Any], w: World
) -> None:
    task = w.labels.task(values["task"])
    (answer,) = verb([task.pk], app=w.app, user=USER, now=w.now)
    if not answer.accepted:
        raise Refused(answer.message)


def _retry(values: Mapping[str, Any], world: World) -> None:
    _verb(services.retry_tasks, values, world)


def _kill(values: Mapping[str, Any], world: World) -> None:
    """A kill of a finished task answers its status and is no refusal."""
    task = world.labels.task(values["task"])
    services.kill_tasks([task.pk], app=world.app, user=USER, now=world.now)
    _stop(task, world)


def _remove(values: Mapping[str, Any], world: World) -> None:
    _verb(services.remove_tasks, values, world)
    _stop(world.labels.task(values["task"]), world)


def _stop(task: Task, world: World) -> None:
    task.refresh_from_db()
    if task.kill_requested_at is not None and task.status == TaskStatus.RUNNING:
        world.end_killed(task)


def _force(values: Mapping[str, Any], world: World) -> None:
    task = world.labels.task(values["task"])
    status = _word(TaskStatus, values["status"])
    services.force_status(task.pk, status, app=world.app, user=USER, reason="", now=world.now)


def _rerun(values: Mapping[str, Any], world: World) -> None:
    labels = listed(values["jobs"], "jobs")
    job_ids = [world.labels.job_id(label) for label in labels]
    start = instant(values["from"], "from", world.document.zone)
    end = instant(values["to"], "to", world.document.zone)
    services.rerun(job_ids, start, end, app=world.app, user=USER, now=world.now)


def _run(values: Mapping[str, Any], world: World) -> None:
    job_id = world.labels.job_id(values["job"])
    services.run_now(job_id, app=world.app, user=USER, now=world.now)


def _skip(values: Mapping[str, Any], world: World) -> None:
    due_at = instant(values["due"], "due", world.document.zone)
    job_id = world.labels.job_id(values["job"])
    skip_slot(job_id, due_at, app=world.app, user=USER, reason="", now=world.now)


def _fill(values: Mapping[str, Any], world: World) -> None:
    job_id = world.labels.job_id(values["job"])
    start = instant(values["from"], "from", world.document.zone)
    end = instant(values["to"], "to", world.document.zone)
    services.fill_gaps(job_id, start, end, app=world.app, user=USER, now=world.now)


def _status(values: Mapping[str, Any], world: World) -> None:
    job_id = world.labels.job_id(values["job"])
    status = _word(JobStatus, values["status"])
    set_status(job_id, status, app=world.app, user=USER, now=world.now)


def _set_schedule(values: Mapping[str, Any], world: World) -> None:
    """Turn the whole new set into the change set that leads to it."""
    job = Job.objects.get(pk=world.labels.job_id(values["job"]))
    wanted = list(
        document.schedule_edits(values["schedule"], "schedule", zone=job.zone, now=world.now)
    )
    edits: list[ScheduleEdit] = []
    for row in ScheduleExpression.objects.filter(job=job).order_by("pk"):
        same = next(
            (edit for edit in wanted if (edit.kind, edit.text) == (row.kind, row.text)), None
        )
        if same is not None:
            wanted.remove(same)
        else:
            edits.append(ScheduleEdit(mode=Edit.DELETE, expression_id=row.pk))
    set_schedule(job.pk, [*edits, *wanted], app=world.app, user=USER, now=world.now)


def _set_dependencies(values: Mapping[str, Any], world: World) -> None:
    job_id = world.labels.job_id(values["job"])
    links = document.links(values["dependencies"], "dependencies")
    wanted = {edit.upstream_id: edit for edit in document.edits_of(links, world.labels.ids)}
    rows = DependencyEntry.objects.filter(job_id=job_id)
    present = set(rows.values_list("upstream_id", flat=True))
    edits = [
        DependencyEdit(mode=Edit.DELETE, upstream_id=upstream_id)
        for upstream_id in sorted(present - set(wanted))
    ]
    for upstream_id, edit in wanted.items():
        mode = Edit.EDIT if upstream_id in present else Edit.ADD
        edits.append(
            DependencyEdit(
                mode=mode, upstream_id=upstream_id, strategy=edit.strategy, offset=edit.offset
            )
        )
    set_dependencies(job_id, edits, app=world.app, user=USER, now=world.now)


def _submit(values: Mapping[str, Any], world: World) -> None:
    job = document.definition(values["job"], "job", zone=world.document.zone, created=world.now)
    world.submit_one(job)


def _outage(values: Mapping[str, Any], world: World) -> None:
    world.begin_outage(instant(values["to"], "to", world.document.zone))


def _system(values: Mapping[str, Any], world: World) -> None:
    if values["status"] not in (1, 2):
        raise InvalidParameters("status: 1 resumes, 2 pauses")
    services.set_system_paused(values["status"] == 2, app=world.app, user=USER, now=world.now)


def _explain(values: Mapping[str, Any], world: World) -> None:
    label = str(values["task"])
    gates = explain.explain(*world.labels.subject(label), now=world.now)
    names = {str(job_id): name for name, job_id in world.labels.ids.items()}
    world.answers.append(
        {
            "at": world.labels.time(world.now),
            "task": label,
            "gates": [explain.shown(gate, names, world.labels.time) for gate in gates],
        }
    )


def _word(words: Any, value: object) -> Any:
    try:
        return words(value)
    except ValueError as error:
        raise InvalidParameters(f"status: {value!r} is no status") from error


_ACTIONS: dict[str, Callable[[Mapping[str, Any], World], None]] = {
    "retry": _retry,
    "kill": _kill,
    "remove": _remove,
    "force": _force,
    "rerun": _rerun,
    "run": _run,
    "skip": _skip,
    "fill": _fill,
    "status": _status,
    "set_schedule": _set_schedule,
    "set_dependencies": _set_dependencies,
    "submit": _submit,
    "outage": _outage,
    "system": _system,
    "explain": _explain,
}
