"""``manage.py doctor``: says of each part whether it works, and how to mend it if not."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sentinel_project import clock, health


class Command(BaseCommand):
    help = "Look at database, broker, beat, workers, disk and schedules; exit 1 if any is ill."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--here",
            choices=["beat", "worker"],
            help="only whether that part of this host was heard of lately",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(_examine(options["here"]))
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


def _examine(here: str | None) -> Iterable[health.Finding]:
    if here is None:
        findings = list(health.examine(now=clock.now()))
        can_ask = all(f.is_well for f in findings if f.name in {"database", "migrations"})
        return [*findings, health.examine_schedules()] if can_ask else findings
    return [health.examine_part(here, host=socket.gethostname(), now=clock.now())]
