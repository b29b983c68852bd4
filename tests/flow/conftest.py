"""Fixtures of the tests that need a PostgreSQL server of their own."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
from pytest_django.plugin import DjangoDbBlocker

from jobs.models import App
from tests.builders import make_app
from tests.engine import postgres_database
from tests.flow.races import a_name

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


@pytest.fixture
def app(postgres: None) -> App:
    """An app in the database of the races."""
    return make_app(name=a_name(), kind="ADMIN")
