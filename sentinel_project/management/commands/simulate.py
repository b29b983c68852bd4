"""``manage.py simulate FILE``: rehearse a set of jobs; touches no configured database (D-72)."""

from __future__ import annotations

import json
import logging
import sys
from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from sentinel_project.errors import SentinelError
from tasks_app.simulation import simulate

_APPS = ("jobs", "tasks_app", "logs_app")


class Command(BaseCommand):
    help = "Rehearse a set of jobs on a virtual clock and print what happened as JSON."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a JSON or YAML document; - reads stdin")
        parser.add_argument("--pretty", action="store_true", help="a table instead of JSON")

    def handle(self, *_: object, file: str, pretty: bool, **__: object) -> None:
        logging.disable(logging.WARNING)
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
            document = _parsed(text)
            use_private_database()
            result = simulate(document)
        except (OSError, UnicodeDecodeError, SentinelError) as error:
            self.stderr.write(" ".join(str(error).split()))
            sys.exit(2)
        self.stdout.write(_table(result) if pretty else json.dumps(result, ensure_ascii=False))


def use_private_database() -> None:
    """Put a database in memory in the place of the configured one, with all our tables."""
    connections["default"].close()
    connections.settings["default"] |= {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {},
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": False,
    }
    del connections["default"]
    executor = MigrationExecutor(connections["default"])
    leaves = executor.loader.graph.leaf_nodes()
    executor.migrate([leaf for leaf in leaves if leaf[0] in _APPS])
    settings.SENTINEL_MISFIRE_GRACE = timedelta(0)


def _parsed(text: str) -> Any:
    """Read JSON, or YAML where it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SentinelError(f"document: neither JSON nor YAML: {error}") from error


def _table(result: dict[str, Any]) -> str:
    columns = ("id", "kind", "status", "reason", "opened", "started", "ended")
    rows = [columns, *([str(task[name] or "") for name in columns] for task in result["tasks"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines += [f"gap: {json.dumps(gap)}" for gap in result["gaps"]]
    lines += [f"refused: {json.dumps(refusal)}" for refusal in result["refused"]]
    return "\n".join(line.rstrip() for line in lines)
