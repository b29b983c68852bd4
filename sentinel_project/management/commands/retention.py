"""``manage.py retention``: which old runs and output would leave; with ``--apply`` they do."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sentinel_project import clock
from tasks_app.retention import output, tasks


class Command(BaseCommand):
    help = (
        "Show what SENTINEL_KEEP_TASKS and SENTINEL_KEEP_OUTPUT let go, job by job, as JSON;"
        " delete it with --apply."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--apply", action="store_true", help="delete what is shown")

    def handle(self, *args: Any, apply: bool, **options: Any) -> None:
        now = clock.now()
        shown = {**_output(now), "history": _history(now)}
        if apply:
            # Runs leave with their output, so that what is left of it is deleted afterwards.
            shown["deletedTasks"] = tasks.delete(now=now)
            shown["deletedBytes"] = output.delete(now=now)
        self.stdout.write(json.dumps(shown, ensure_ascii=False))


def _output(now: datetime) -> dict[str, Any]:
    shares = output.preview(now=now)
    return {
        "attempts": sum(share.attempts for share in shares),
        "bytes": sum(share.size for share in shares),
        "jobs": [
            {
                "app": share.app,
                "job": share.job,
                "attempts": share.attempts,
                "bytes": share.size,
                "oldest": share.oldest_at.isoformat(),
            }
            for share in shares
        ],
    }


def _history(now: datetime) -> dict[str, Any]:
    shares = tasks.preview(now=now)
    return {
        "tasks": sum(share.tasks for share in shares),
        "jobs": [
            {
                "app": share.app,
                "job": share.job,
                "tasks": share.tasks,
                "attempts": share.attempts,
                "bytes": share.size,
                "firstDue": share.first_due.isoformat(),
                "lastDue": share.last_due.isoformat(),
            }
            for share in shares
        ],
    }
