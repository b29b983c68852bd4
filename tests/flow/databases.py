"""A database of its own on each server that answers, for jobs of the type ``sql``."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
import pytest


@dataclass(frozen=True, slots=True)
class Database:
    """``series``: a query of the numbers 1 to n; ``endless``: a statement that does not end."""

    kind: str
    address: str
    series: str
    endless: str
    execute: Callable[[str], list[tuple[Any, ...]]]
    #: Return what runs in this database now, besides the asking.
    running: Callable[[], list[Any]]


_SERIES = (
    "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {}) SELECT n FROM s"
)


@contextmanager
def postgres(_: Path) -> Iterator[Database]:
    server = "postgres://postgres@127.0.0.1:5432"
    name = f"sql_{uuid.uuid4().hex}"
    try:
        admin = psycopg2.connect(f"{server}/postgres", connect_timeout=3)
    except psycopg2.OperationalError as error:
        pytest.skip(f"no PostgreSQL: {error}")
    admin.autocommit = True

    def execute(statement: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(f"{server}/{name}")) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def running() -> list[Any]:
        return execute(
            "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state <> 'idle'"
        )

    with closing(admin), admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        try:
            yield Database(
                "postgres",
                f"{server}/{name}",
                "SELECT n FROM generate_series(1, {}) AS s(n)",
                "SELECT pg_sleep(300)",
                execute,
                running,
            )
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def mysql(_: Path) -> Iterator[Database]:
    name = f"sql_{uuid.uuid4().hex}"
    words = {"host": "127.0.0.1", "port": 3306, "user": "root", "password": ""}
    try:
        admin = pymysql.connect(**words, autocommit=True, connect_timeout=3)
    except pymysql.OperationalError as error:
        pytest.skip(f"no MySQL or MariaDB: {error}")

    def execute(statement: str) -> list[tuple[Any, ...]]:
        with (
            closing(pymysql.connect(**words, database=name, autocommit=True)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
            return list(cursor.fetchall())

    def running() -> list[Any]:
        return execute(
            "SELECT info FROM information_schema.processlist WHERE db = DATABASE()"
            " AND id <> CONNECTION_ID() AND command <> 'Sleep'"
        )

    with closing(admin), admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield Database(
                "mysql",
                f"mysql://root@127.0.0.1:3306/{name}",
                f"SET max_recursive_iterations = 4294967295; {_SERIES}",
                "SELECT SLEEP(300)",
                execute,
                running,
            )
        finally:
            cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def sqlite(folder: Path) -> Iterator[Database]:
    path = folder / "größer %41.db"
    sqlite3.connect(path).close()

    def execute(statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    def running() -> list[Any]:
        """Nobody holds the file: a statement that writes can begin."""
        try:
            return execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return ["locked"]

    endless = f"CREATE TABLE endless AS {_SERIES.format(10**15)}"
    address = f"sqlite:///{str(path).replace('%', '%25')}"
    yield Database("sqlite", address, _SERIES, endless, execute, running)


KINDS = {"postgres": postgres, "mysql": mysql, "sqlite": sqlite}
