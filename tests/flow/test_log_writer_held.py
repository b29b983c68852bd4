"""The end of a run while the heart is in the middle of a flush: both threads held there (X-7)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.db import connection, connections, transaction

from logs_app import store
from logs_app.models import Chunk, StreamKind
from sentinel_project import clock
from tests.builders import close_streams, make_attempt
from tests.flow.executions import eventually

pytestmark = pytest.mark.usefixtures("committed_db")

HEAD = b"0123456789"


class Held:
    """A flush in a thread of its own, as the heart's: held once, and let go on."""

    def __init__(self, writer: store.Writer) -> None:
        self._writer = writer
        self._is_there = threading.Event()
        self._may_go_on = threading.Event()
        self.statements = 0

    @contextmanager
    def running(self, hold: Callable[[Held, str], None]) -> Iterator[Future[None]]:
        """Flush up to where ``hold`` holds it."""
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(self._flush, hold)
            try:
                assert self._is_there.wait(10)
                yield future
            finally:
                self.let_go()

    def let_go(self) -> None:
        self._may_go_on.set()

    def wait(self) -> None:
        self._is_there.set()
        assert self._may_go_on.wait(30)

    def _flush(self, hold: Callable[[Held, str], None]) -> None:
        def watched(execute: Callable[..., Any], sql: str, *words: Any) -> Any:
            self.statements += 1
            if not self._is_there.is_set():
                hold(self, sql)
            return execute(sql, *words)

        try:
            with connection.execute_wrapper(watched):
                self._writer.flush()
        finally:
            connections.close_all()


def before_it_writes(held: Held, _: str) -> None:
    held.wait()


def after_its_commit(held: Held, sql: str) -> None:
    """The bytes are stored, and the buffer does not know."""
    if 'INTO "logs_app_stream"' in sql or sql.startswith("UPDATE"):
        transaction.on_commit(held.wait)


def stored(attempt_id: int) -> bytes:
    chunks = Chunk.objects.filter(stream__attempt_id=attempt_id, stream__kind=StreamKind.RESULT)
    return b"".join(bytes(chunk.data) for chunk in chunks.order_by("start"))


@pytest.mark.parametrize("rest", [b"ABCDE", b"ABCDEFGHIJKLMNO"], ids=["shorter", "longer"])
def test_a_flush_that_comes_back_during_the_end_takes_nothing_from_it(rest: bytes) -> None:
    """X-30: with less left than was flushed bytes were lost, with more a good run was stale."""
    attempt = make_attempt()
    with closing(store.Writer(attempt.pk, fence=attempt.fence)) as writer:
        writer.result(HEAD)
        held = Held(writer)

        with held.running(after_its_commit) as flushing:
            writer.result(rest)
            before = held.statements

            def let_it_come_back(execute: Callable[..., Any], *words: Any) -> Any:
                answer = execute(*words)
                held.let_go()
                # It ends, or is about to write what this end writes too.
                assert eventually(lambda: flushing.done() or held.statements > before)
                return answer

            with transaction.atomic(), connection.execute_wrapper(let_it_come_back):
                writer.finish()
                close_streams(attempt.pk, fence=attempt.fence, now=clock.now())
            futures.wait([flushing], timeout=30)

    assert stored(attempt.pk) == HEAD + rest


def test_a_flush_that_comes_after_the_end_is_not_told_that_the_run_was_taken_away() -> None:
    """X-3: the stream is closed by its own end, and that is no stale fence."""
    attempt = make_attempt()
    with closing(store.Writer(attempt.pk, fence=attempt.fence)) as writer:
        writer.result(HEAD)
        held = Held(writer)

        with held.running(before_it_writes) as flushing:
            with transaction.atomic():
                writer.finish()
                close_streams(attempt.pk, fence=attempt.fence, now=clock.now())
            held.let_go()
            flushing.result(30)

    assert stored(attempt.pk) == HEAD
