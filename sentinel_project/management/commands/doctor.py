"""``manage.py doctor``: says of each part whether it works, and how to mend it if not."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from sentinel_project import clock, health


class Command(BaseCommand):
    help = "Look at database, migrations, broker, beat, workers and disk; exit 1 if any is ill."

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(health.examine(now=clock.now()))
        for finding in findings:
            self._print(finding)
        if not all(finding.is_well for finding in findings):
            sys.exit(1)

    def _print(self, finding: health.Finding) -> None:
        if finding.is_well:
            self.stdout.write(f"ok      {finding.name}")
        else:
            self.stdout.write(f"WRONG   {finding.name}: {finding.trouble}")
            self.stdout.write(f"        {finding.mend}")
