"""What only operators change: limits of apps, and worker groups. All of it is audited (D-85)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from jobs import audit, operators
from jobs.models import App, WorkerGroup
from sentinel_project.errors import InvalidParameters

_LIMITS = ("owner", "max_concurrency", "max_priority")
MAX_PRIORITY = 10


@transaction.atomic
def edit_app(
    app: App,
    changes: Mapping[str, Any],
    *,
    groups: Collection[WorkerGroup],
    user: str,
    now: datetime,
) -> None:
    """Change the limits of an app (D-80); ``groups`` empty: it may use every group."""
    if changes.get("max_priority", 0) > MAX_PRIORITY:
        raise InvalidParameters(f"max_priority: it is at most {MAX_PRIORITY}")
    locked = App.objects.select_for_update().get(pk=app.pk)
    before = _limits(locked)
    for name in _LIMITS:
        setattr(locked, name, changes.get(name, getattr(locked, name)))
    locked.save(update_fields=_LIMITS)
    locked.allowed_groups.set(groups)
    after = _limits(locked)
    changed = [name for name in after if after[name] != before[name]]
    if changed:
        audit.record(
            "app.edit",
            locked,
            app=operators.operator(),
            user=user,
            now=now,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )


def _limits(app: App) -> dict[str, Any]:
    groups = sorted(app.allowed_groups.values_list("pk", flat=True))
    return {name: getattr(app, name) for name in _LIMITS} | {"allowed_groups": groups}


@transaction.atomic
def add_group(name: str, *, is_enabled: bool, user: str, now: datetime) -> WorkerGroup:
    """Add a worker group, which names a Celery queue (D-81)."""
    group = WorkerGroup.objects.create(name=name, is_enabled=is_enabled)
    after = {"name": name, "is_enabled": is_enabled}
    audit.record(
        "worker_group.add", group, app=operators.operator(), user=user, now=now, after=after
    )
    return group


@transaction.atomic
def set_group_enabled(group: WorkerGroup, is_enabled: bool, *, user: str, now: datetime) -> bool:
    """Let a group's tasks start, or hold them READY (D-81). False: it was so already."""
    rows = WorkerGroup.objects.filter(pk=group.pk, is_enabled=not is_enabled)
    if not rows.update(is_enabled=is_enabled):
        return False
    audit.record(
        "worker_group.set_enabled",
        group,
        app=operators.operator(),
        user=user,
        now=now,
        before={"is_enabled": not is_enabled},
        after={"is_enabled": is_enabled},
    )
    return True
