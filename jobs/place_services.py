"""What is done to worker groups, departments and biz groups (D-81, D-83). All of it is audited."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from django.db import transaction

from jobs import audit
from jobs.models import App, BizGroup, Department, Job, WorkerGroup
from jobs.names import unless_taken
from jobs.rules.enums import JobStatus
from sentinel_project.errors import NotFound, Refused

Place = TypeVar("Place", WorkerGroup, Department, BizGroup)
Label = TypeVar("Label", Department, BizGroup)
_WORDS = {WorkerGroup: "worker group", Department: "department", BizGroup: "biz group"}


@transaction.atomic
def add_place(model: type[Place], name: str, *, by: App | None, user: str, now: datetime) -> Place:
    """Add a worker group, which names a queue, or what a label of jobs may say."""
    with unless_taken(f"a {_WORDS[model]}", name):
        place = model._default_manager.create(name=name)
    audit.record(f"{_action(model)}.add", place, app=by, user=user, now=now, after={"name": name})
    return place


@transaction.atomic
def rename_place(
    model: type[Place], place_id: int, name: str, *, by: App | None, user: str, now: datetime
) -> Place:
    """Give it another name; jobs that carry the name of a department follow."""
    place = _locked(model, place_id)
    if place.name == name:
        return place
    before, place.name = place.name, name
    with unless_taken(f"a {_WORDS[model]}", name):
        place.save(update_fields=["name"])
    if isinstance(place, Department):
        Job.objects.filter(department=before).update(department=name)
    audit.record(
        f"{_action(model)}.edit",
        place,
        app=by,
        user=user,
        now=now,
        before={"name": before},
        after={"name": name},
    )
    return place


@transaction.atomic
def delete_label(
    model: type[Label], label_id: int, *, by: App | None, user: str, now: datetime
) -> Label:
    """Take a label out of its directory and return what it was.

    Refused while a job that is not TRASHED carries it.
    """
    label = _locked(model, label_id)
    if jobs := _carriers(label):
        raise Refused(f"{jobs} jobs carry {_WORDS[model]} {label_id}; edit them first")
    audit.record(
        f"{_action(model)}.delete", label, app=by, user=user, now=now, before={"name": label.name}
    )
    model._default_manager.filter(pk=label.pk).delete()
    return label


@transaction.atomic
def set_group_enabled(
    group_id: int, is_enabled: bool, *, by: App | None, user: str, now: datetime
) -> bool:
    """Let a group's tasks start, or hold them READY (D-81). False: it was so already."""
    group = _locked(WorkerGroup, group_id)
    if group.is_enabled == is_enabled:
        return False
    group.is_enabled = is_enabled
    group.save(update_fields=["is_enabled"])
    audit.record(
        "worker_group.set_enabled",
        group,
        app=by,
        user=user,
        now=now,
        before={"is_enabled": not is_enabled},
        after={"is_enabled": is_enabled},
    )
    return True


def _locked(model: type[Place], place_id: int) -> Place:
    place = model._default_manager.select_for_update(no_key=True).filter(pk=place_id).first()
    if place is None:
        raise NotFound(f"no {_WORDS[model]} {place_id}")
    return place


def _carriers(label: Department | BizGroup) -> int:
    rows = Job.objects.exclude(status=JobStatus.TRASHED)
    if isinstance(label, Department):
        return rows.filter(department=label.name).count()
    return rows.filter(biz_groups__contains=f",{label.pk},").count()


def _action(model: type[Place]) -> str:
    return _WORDS[model].replace(" ", "_")
