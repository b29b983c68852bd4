"""``add_artifact FILE``: keep a jar for jobs to run, and print its id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.app_services import locked_app
from jobs.artifact_services import add_file
from sentinel_project import clock
from sentinel_project.errors import SentinelError
from sentinel_project.management.operator import who


class Command(BaseCommand):
    help = "Keep a file such as a jar for jobs to run, and print its id. The same is kept once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--name", help="what it is called; default: the file's name")
        parser.add_argument("--app", help="whose jobs may run it; default: every app's")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            artifact = add_file(
                path,
                name=options["name"] or path.name,
                owner=locked_app(options["app"]) if options["app"] else None,
                app=None,
                user=who(),
                now=clock.now(),
            )
        except (SentinelError, OSError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"artifact: {artifact.pk}\nsha256: {artifact.sha256}")
