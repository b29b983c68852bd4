"""``add_connection --name N --url U``: let jobs use the address U by the name N."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from jobs.rules.enums import CredentialKind
from sentinel_project.management import credentials


class Command(BaseCommand):
    help = "Keep the address of a database or service, sealed, for jobs to use by its name."

    def add_arguments(self, parser: CommandParser) -> None:
        credentials.add_arguments(parser)
        parser.add_argument(
            "--url", required=True, help="the address; - reads it from standard input"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        url = sys.stdin.read().strip() if options["url"] == "-" else options["url"]
        self.stdout.write(credentials.keep(url, CredentialKind.CONNECTION, options))
