"""``add_secret --name N``: keep what comes on standard input for jobs that name it."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from jobs.rules.enums import CredentialKind
from sentinel_project.management import credentials


class Command(BaseCommand):
    help = "Read a secret from standard input and keep it, sealed, for jobs to use by its name."

    def add_arguments(self, parser: CommandParser) -> None:
        credentials.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        value = sys.stdin.read().removesuffix("\n")
        self.stdout.write(credentials.keep(value, CredentialKind.SECRET, options))
