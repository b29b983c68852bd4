"""Output of one row that no statement deletes in its time leaves by pieces (X-33)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection

from logs_app import retention, store
from logs_app.models import Chunk, Stream, StreamKind
from sentinel_project import clock
from tasks_app.models import Task
from tasks_app.retention import output, tasks
from tasks_app.rules.states import TaskStatus
from tests.builders import close_streams, make_job, make_task

pytestmark = pytest.mark.django_db

#: Chunks of a piece, and how many more of them one statement can delete in its time.
PIECE, TOO_MANY = 4, 6
TEXT = "".join(f"{number:15}\n" for number in range(10 * store.CHUNK // 16))


class TooMuch:
    """Cuts deletes of chunks short that take more than so many, as a timeout does."""

    def __init__(self) -> None:
        self.deleted: list[int] = []

    def __call__(
        self, execute: Callable[..., object], sql: str, params: Any, many: Any, context: Any
    ) -> object:
        result = execute(sql, params, many, context)
        if sql.startswith('DELETE FROM "logs_app_chunk"'):
            if context["cursor"].rowcount >= TOO_MANY:
                cause = sqlite3.OperationalError("interrupted")
                cause.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise OperationalError("cut short") from cause
            self.deleted.append(context["cursor"].rowcount)
        return result


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PIECE", PIECE * store.CHUNK)


def old_run(*, attempts: int = 1, text: str = TEXT) -> Task:
    """Return a run of long ago, of which each attempt has printed ``text``."""
    ended_at = clock.now() - timedelta(days=40)
    words = {"attempt_count": attempts, "due_at": ended_at, "opened_at": ended_at}
    task = make_task(TaskStatus.FAILED, job=make_job(created_at=ended_at), **words)
    for attempt in task.attempts.all():
        Stream.objects.filter(attempt_id=attempt.pk).update(closed_at=None)
        data = text.encode()
        assert store.append(attempt.pk, StreamKind.RESULT, fence=attempt.fence, start=0, data=data)
        close_streams(attempt.pk, fence=attempt.fence, now=ended_at)
    return task


def test_the_output_of_one_attempt_leaves_in_statements_that_have_the_time(settings: Any) -> None:
    settings.SENTINEL_KEEP_OUTPUT = '{"*": 30}'
    task = old_run()
    watched = TooMuch()

    with connection.execute_wrapper(watched):
        freed = output.delete(now=clock.now())

    assert freed == len(TEXT)
    assert watched.deleted == [4, 4, 2]
    assert store.read_all(task.attempts.get().pk, StreamKind.RESULT).is_end
    dropped = Stream.objects.order_by("kind").values_list("size", "dropped")
    assert list(dropped) == [(0, len(TEXT)), (0, 0)]


def test_so_does_that_of_a_run_of_many_attempts_and_the_run(settings: Any) -> None:
    settings.SENTINEL_KEEP_TASKS = '{"*": 30}'
    task = old_run(attempts=3)
    make_task(TaskStatus.SUCCESS, job=task.job, due_at=clock.now())

    with connection.execute_wrapper(TooMuch()):
        assert tasks.delete(now=clock.now()) == 1

    assert not Task.objects.filter(pk=task.pk).exists()
    assert not Chunk.objects.exists()


def test_what_is_left_of_a_stream_is_whole_wherever_a_sweep_ends(settings: Any) -> None:
    settings.SENTINEL_KEEP_OUTPUT = '{"*": 30}'
    attempt = old_run().attempts.get()

    class Ended(Exception):
        """The process of the sweep was ended."""

    def end_before_the_last(execute: Callable[..., object], sql: str, *rest: Any) -> object:
        if sql.startswith("UPDATE") and Chunk.objects.count() == 6:
            raise Ended
        return execute(sql, *rest)

    with connection.execute_wrapper(end_before_the_last), pytest.raises(Ended):
        output.delete(now=clock.now())

    left = store.read_all(attempt.pk, StreamKind.RESULT)
    assert (left.text, left.is_end) == (TEXT[: 6 * store.CHUNK], True)
    assert output.delete(now=clock.now()) == 6 * store.CHUNK


def test_what_is_no_more_than_a_piece_leaves_in_one_statement(settings: Any) -> None:
    settings.SENTINEL_KEEP_OUTPUT = '{"*": 30}'
    for _ in range(2):
        old_run(text=TEXT[: 2 * store.CHUNK])
    watched = TooMuch()

    with connection.execute_wrapper(watched):
        output.delete(now=clock.now())

    assert watched.deleted == [4]
