"""The whole-system pause (D-60)."""

from __future__ import annotations

from datetime import datetime

from tasks_app import wakeup
from tasks_app.models import SystemState


def set_system_paused(paused: bool, *, user: str, now: datetime) -> bool:
    """Pause or resume everything; False: it was so already."""
    rows = SystemState.objects.filter(pk=1, is_paused=not paused)
    changed = bool(rows.update(is_paused=paused, changed_at=now, changed_by=user))
    if changed:
        wakeup.signal()
    return changed
