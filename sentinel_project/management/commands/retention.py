"""``manage.py retention``: which output of old runs would leave, and with ``--apply`` it does."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sentinel_project import clock
from tasks_app import retention


class Command(BaseCommand):
    help = "Show what SENTINEL_KEEP_OUTPUT lets go, job by job, as JSON; delete it with --apply."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--apply", action="store_true", help="delete what is shown")

    def handle(self, *args: Any, apply: bool, **options: Any) -> None:
        now = clock.now()
        shares = retention.preview(now=now)
        shown = {
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
        if apply:
            shown["deletedBytes"] = retention.delete(now=now)
        self.stdout.write(json.dumps(shown, ensure_ascii=False))
