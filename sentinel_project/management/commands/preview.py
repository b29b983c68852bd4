"""``manage.py preview``: the next slots of an expression or the window of an offset (D-71)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from jobs.rules.preview import answer
from sentinel_project import clock


class Command(BaseCommand):
    help = "Print the next slots of a schedule expression, or the window of an offset strategy."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--type", type=int, help="1 cron, 2 rate, 3 delay, 4 ISO 8601")
        parser.add_argument("--expression", help='such as "0 0 12 * * ?"')
        parser.add_argument("--offset", help='such as "d(-1)", in place of an expression')
        parser.add_argument("--zone", help="IANA name; the setting SENTINEL_TIME_ZONE if absent")
        parser.add_argument("--at", help="the instant to look from; a naive one is in the zone")
        parser.add_argument("--count", type=int, default=5, help="how many slots")
        parser.add_argument("--before", action="store_true", help="list backwards from --at")
        parser.add_argument("--anchor", help="when the expression was saved; --at if absent")
        parser.add_argument("--batch", metavar="FILE", help="a JSON list of questions; - is stdin")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch"]:
            answers: object = [self._answer(question) for question in _read(options["batch"])]
        else:
            keys = ("type", "expression", "offset", "zone", "at", "count", "before", "anchor")
            answers = self._answer({key: options[key] for key in keys})
        self.stdout.write(json.dumps(answers, ensure_ascii=False))

    def _answer(self, question: dict[str, Any]) -> dict[str, object]:
        return answer(question, zone=settings.SENTINEL_TIME_ZONE, now=clock.now())


def _read(name: str) -> list[dict[str, Any]]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        questions = json.loads(text)
    except (OSError, ValueError) as error:
        raise CommandError(f"--batch {name}: {error}", returncode=2) from error
    if not isinstance(questions, list) or not all(isinstance(one, dict) for one in questions):
        raise CommandError(f"--batch {name}: a JSON list of questions is needed", returncode=2)
    return questions
