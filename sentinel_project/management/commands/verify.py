"""``manage.py verify --since``: hold the ledger against what the schedules owe (D-73)."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from jobs.models import Job
from sentinel_project import clock
from sentinel_project.management.instants import instant_of
from tasks_app.verify import Findings, verify


class Command(BaseCommand):
    help = "List missing, duplicate and unexplained runs as JSON; exit 1 if there are any."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since", help="ISO 8601; a naive one is in SENTINEL_TIME_ZONE; else from the floors"
        )

    def handle(self, *args: Any, since: str | None, **options: Any) -> None:
        zone = ZoneInfo(settings.SENTINEL_TIME_ZONE)
        start = instant_of(since, name="--since", zone=zone) if since else None
        findings = verify(now=clock.now(), since=start)
        self.stdout.write(json.dumps(_shown(findings), ensure_ascii=False))
        if not findings.is_well:
            sys.exit(1)


def _shown(findings: Findings) -> dict[str, object]:
    return {
        "expected": findings.expected,
        "present": findings.present,
        "gaps": findings.gaps,
        "missing": [_slot(job, due) for job, due in findings.missing],
        "duplicate": [_slot(job, due) | {"taskIds": ids} for job, due, ids in findings.duplicate],
        "unexplained": [
            _slot(job, task.due_at) | {"taskIds": [task.pk]} for job, task in findings.unexplained
        ],
    }


def _slot(job: Job, due: datetime) -> dict[str, object]:
    return {"jobId": job.pk, "jobName": job.name, "due": due.astimezone(job.zone).isoformat()}
