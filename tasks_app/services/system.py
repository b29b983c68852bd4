"""The whole-system pause (D-60)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from jobs import audit
from jobs.models import App
from tasks_app import wakeup
from tasks_app.models import SystemState


@transaction.atomic
def set_system_paused(paused: bool, *, app: App, user: str, now: datetime) -> bool:
    """Pause or resume everything; False: it was so already."""
    rows = SystemState.objects.filter(pk=1, is_paused=not paused)
    changed = bool(rows.update(is_paused=paused, changed_at=now, changed_by=user))
    if changed:
        wakeup.signal()
        audit.record(
            "system.pause",
            SystemState.objects.get(pk=1),
            app=app,
            user=user,
            before={"is_paused": not paused},
            after={"is_paused": paused},
            now=now,
        )
    return changed
