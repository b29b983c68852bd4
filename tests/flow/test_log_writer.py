"""What an attempt prints on its way into the store: soon, whole, and in bounded memory (X-30)."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction

from logs_app import store
from logs_app.models import Chunk, Stream, StreamKind
from logs_app.store import Fenced, Writer
from tests.builders import close_streams

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)
ATTEMPT, FENCE = 7, 3
RESULT, LOG = StreamKind.RESULT, StreamKind.LOG


@pytest.fixture
def attempt() -> int:
    return ATTEMPT


@pytest.fixture
def writer(attempt: int) -> Iterator[Writer]:
    with closing(Writer(attempt, fence=FENCE)) as writer:
        yield writer


def stored(kind: StreamKind = RESULT) -> bytes:
    chunks = Chunk.objects.filter(stream__attempt_id=ATTEMPT, stream__kind=kind)
    return b"".join(bytes(chunk.data) for chunk in chunks.order_by("start"))


class Timer:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_what_was_printed_is_readable_after_a_flush(writer: Writer) -> None:
    writer.result(b"out")
    writer.log(b"err")

    writer.flush()

    assert (stored(), stored(LOG)) == (b"out", b"err")


def test_a_flush_is_due_after_half_a_second_or_a_full_chunk(attempt: int) -> None:
    timer = Timer()
    with closing(Writer(attempt, fence=FENCE, monotonic=timer)) as writer:
        writer.flush_due()
        writer.result(b"a")
        timer.seconds = 0.4
        writer.result(b"b")
        writer.flush_due()
        assert stored() == b""

        timer.seconds = 0.5
        writer.flush_due()
        assert stored() == b"ab"

        writer.result(b"x" * store.CHUNK)
        writer.flush_due()
        assert len(stored()) == 2 + store.CHUNK


def test_what_a_flush_left_over_is_due_as_well(attempt: int) -> None:
    timer = Timer()
    flood = b"x" * (4 * 1024 * 1024 + 10)
    with closing(Writer(attempt, fence=FENCE, monotonic=timer)) as writer:
        for at in range(0, len(flood), 64 * 1024):
            writer.result(flood[at : at + 64 * 1024])
        writer.flush()
        assert len(stored()) == 4 * 1024 * 1024

        timer.seconds = 0.5
        writer.flush_due()

    assert stored() == flood


def test_what_is_printed_after_the_end_is_not_kept(writer: Writer) -> None:
    writer.log(b"in time")
    with transaction.atomic():
        writer.finish()
        transaction.set_rollback(True)
    writer.log(b" too late")

    writer.finish()

    assert stored(LOG) == b"in time"


def test_nothing_printed_costs_no_query(
    writer: Writer, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    with django_assert_num_queries(0):
        writer.flush()
        writer.finish()


def test_a_writer_who_lost_the_attempt_is_told_and_its_printers_are_not(writer: Writer) -> None:
    writer.log(b"before")
    writer.flush()
    close_streams(ATTEMPT, fence=FENCE, now=NOW)
    writer.log(b"after")

    with pytest.raises(Fenced):
        writer.flush()
    writer.log(b"and on")
    with pytest.raises(Fenced):
        writer.finish()

    assert stored(LOG) == b"before"


def test_several_threads_print_and_every_line_arrives_whole(writer: Writer) -> None:
    def print_lines(name: int) -> None:
        for number in range(300):
            writer.log(b"%d %d\n" % (name, number))

    threads = [threading.Thread(target=print_lines, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        writer.flush()
    writer.finish()

    lines = stored(LOG).splitlines()
    for name in range(4):
        ours = [line for line in lines if line.startswith(b"%d " % name)]
        assert ours == [b"%d %d" % (name, number) for number in range(300)]


def test_a_flood_that_outruns_the_database_is_neither_lost_nor_written_in_one_go(
    writer: Writer,
) -> None:
    flood = os.urandom(6 * 1024 * 1024)
    for at in range(0, len(flood), 100_000):
        writer.result(flood[at : at + 100_000])

    writer.flush()
    assert 0 < len(stored()) < len(flood)
    writer.flush()
    writer.result(b"more")
    writer.finish()

    assert stored() == flood + b"more"


def test_finishing_again_after_a_rollback_writes_the_same(writer: Writer) -> None:
    flood = os.urandom(2 * 1024 * 1024)
    writer.result(b"written ")
    writer.flush()
    writer.result(flood)
    with transaction.atomic():
        writer.finish()
        transaction.set_rollback(True)
    assert stored() == b"written "

    with transaction.atomic():
        writer.finish()
        close_streams(ATTEMPT, fence=FENCE, now=NOW)

    assert stored() == b"written " + flood


@pytest.mark.parametrize("write", [Writer.flush, Writer.finish])
def test_a_write_whose_fate_is_unknown_is_repeated_as_it_was(
    writer: Writer, write: Callable[[Writer], None]
) -> None:
    """The database stores the chunk, the answer is lost, and more is printed meanwhile."""

    def fail(*_: object) -> object:
        raise DatabaseError

    writer.result(b"one ")
    store.append(ATTEMPT, RESULT, fence=FENCE, start=0, data=b"one ")
    with connection.execute_wrapper(fail), pytest.raises(DatabaseError):
        writer.flush()
    writer.result(b"two")

    write(writer)

    assert stored() == b"one two"


def test_a_stream_past_its_cap_keeps_its_head_a_count_and_its_last_bytes(attempt: int) -> None:
    tail = b"y" * 64 * 1024
    with closing(Writer(attempt, fence=FENCE, cap=100)) as writer:
        for _ in range(30):
            writer.result(b"x" * 7)
            writer.flush()
        assert stored() == b"x" * 100
        writer.result(tail)
        writer.log(b"not capped")
        writer.finish()

    assert stored() == b"x" * 100 + b"\n[110 bytes dropped]\n" + tail
    assert stored(LOG) == b"not capped"
    assert list(Stream.objects.order_by("kind").values_list("dropped", flat=True)) == [110, 0]


def test_a_stream_just_past_its_cap_loses_nothing(attempt: int) -> None:
    with closing(Writer(attempt, fence=FENCE, cap=100)) as writer:
        writer.result(b"x" * 99 + b"yz")
        writer.finish()

    assert stored() == b"x" * 99 + b"yz"


def test_a_full_disk_cuts_the_stream_and_says_so(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    head, rest = b"x" * 1024 * 1024, b"y" * 1024 * 1024
    writer.result(head)
    writer.result(rest)
    monkeypatch.undo()
    writer.result(b"the end")
    writer.finish()

    dropped = len(rest) + len(b"the end") - 64 * 1024
    assert stored().startswith(head + b"\n[%d bytes dropped]\n" % dropped)
    assert stored().endswith(b"y" + b"the end")
