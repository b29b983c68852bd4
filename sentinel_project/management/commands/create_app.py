"""``create_app NAME``: register a business system and print its key, this once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.app_services import register_app
from jobs.rules.enums import AppKind
from sentinel_project import clock
from sentinel_project.errors import SentinelError
from sentinel_project.management.operator import who


class Command(BaseCommand):
    help = "Register an app and print its key. The key cannot be shown again, only rotated."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--type", choices=[kind.value for kind in AppKind], default="NORMAL")
        parser.add_argument("--owner", default="", help="who answers for the app")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            _, key = register_app(
                name=options["name"],
                kind=AppKind(options["type"]),
                owner=options["owner"],
                user=who(),
                now=clock.now(),
            )
        except SentinelError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"key: {key}")
