"""Fixtures of the engine's tests: a PostgreSQL database of their own, and the rehearsal command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.core.management import call_command
from pytest_django.plugin import DjangoDbBlocker

from jobs.models import App
from sentinel_project.management.commands.simulate import Command
from tasks_app import planner
from tasks_app.verify import verify
from tests.builders import make_app
from tests.engine import configured_aside, postgres_database
from tests.flow.documents import Simulate
from tests.flow.races import DUE, a_name

SERVER = "postgres://postgres@127.0.0.1:5432"


@pytest.fixture(scope="module")
def postgres(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database of one module's tests; without a server they are skipped."""
    try:
        psycopg2.connect(f"{SERVER}/postgres", connect_timeout=3).close()
    except psycopg2.OperationalError as error:
        pytest.skip(f"there is no PostgreSQL at {SERVER}: {error}")
    with django_db_blocker.unblock(), postgres_database(SERVER):
        yield


@pytest.fixture(scope="module")
def verified_postgres(postgres: None) -> Iterator[None]:
    """The same; at its end all that the module's races have left behind is accounted for (D-73)."""
    yield
    later = DUE + timedelta(days=1)
    planner.run_passes(now=later)
    findings = verify(now=later)
    assert findings.is_well, findings


@pytest.fixture
def app(postgres: None) -> App:
    """An app in the database of the races."""
    return make_app(name=a_name(), kind="ADMIN")


@pytest.fixture
def simulate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], django_db_blocker: DjangoDbBlocker
) -> Simulate:
    """Run the command in this process: (exit code, standard output, standard error)."""

    def run(document: Any, *options: str, suffix: str = "json") -> tuple[int, str, str]:
        path = tmp_path / f"document.{suffix}"
        text = document if isinstance(document, str) else json.dumps(document)
        path.write_text(text, encoding="utf-8")
        code = 0
        with django_db_blocker.unblock(), configured_aside():
            try:
                call_command(Command(), str(path), *options)
            except SystemExit as exit_:
                code = exit_.code if isinstance(exit_.code, int) else 1
        out, err = capsys.readouterr()
        return code, out, err

    return run
