"""The log store on a real database: what was written is read, once, in order (X-31, X-33)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logs_app import retention, store
from logs_app.models import Chunk, Stream, StreamKind
from logs_app.store import Slice
from sentinel_project.errors import InvalidParameters, NotFound, Refused
from tests.builders import close_streams

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)
ATTEMPT, FENCE = 7, 3
RESULT, LOG = StreamKind.RESULT, StreamKind.LOG
EMOJI = "😀".encode()


@pytest.fixture
def attempt() -> int:
    return ATTEMPT


def append(data: bytes, *, start: int = 0, fence: int = FENCE, kind: StreamKind = RESULT) -> bool:
    return store.append(ATTEMPT, kind, fence=fence, start=start, data=data)


def read(offset: int = 0, size: int = 10_000, kind: StreamKind = RESULT) -> Slice:
    return store.read(ATTEMPT, kind, offset=offset, size=size)


def stored(kind: StreamKind = RESULT) -> bytes:
    chunks = Chunk.objects.filter(stream__attempt_id=ATTEMPT, stream__kind=kind)
    return b"".join(bytes(chunk.data) for chunk in chunks.order_by("start"))


def close() -> None:
    close_streams(ATTEMPT, fence=FENCE, now=NOW)


# Appending


def test_a_chunk_sent_twice_is_stored_once(attempt: int) -> None:
    assert append(b"one")
    assert append(b"two", start=3)

    assert append(b"one")
    assert append(b"two", start=3)
    assert append(b"onetwo")

    assert stored() == b"onetwo"


def test_other_bytes_at_an_offset_that_is_taken_are_refused(attempt: int) -> None:
    append(b"one")

    assert not append(b"two")
    assert not append(b"one more")
    assert stored() == b"one"


def test_a_gap_is_refused(attempt: int) -> None:
    assert not append(b"late", start=1)

    assert stored() == b""


def test_a_stale_fence_is_refused_even_for_bytes_that_are_there(attempt: int) -> None:
    append(b"one")

    assert not append(b"two", start=3, fence=FENCE - 1)
    assert not append(b"one", fence=FENCE - 1)
    assert stored() == b"one"


def test_a_closed_stream_takes_nothing(attempt: int) -> None:
    append(b"one")
    close()

    assert not append(b"two", start=3)
    assert not append(b"one")
    assert stored() == b"one"


def test_streams_are_closed_once(attempt: int) -> None:
    close()
    close_streams(attempt, fence=FENCE, now=NOW.replace(year=2027))

    assert set(Stream.objects.values_list("closed_at", flat=True)) == {NOW}


def test_a_stream_that_was_never_printed_to_is_made_closed(attempt: int) -> None:
    """X-31: nobody can begin it any more."""
    append(b"ours", kind=LOG)
    close()

    assert (read().text, read().is_end) == ("", True)
    assert not append(b"too late")
    assert Stream.objects.filter(attempt_id=attempt).count() == 2


def test_a_stream_is_begun_with_its_first_bytes_and_under_their_fence(attempt: int) -> None:
    assert not append(b"not the first", start=3)
    assert append(b"one")
    assert append(b"one"), "sent again, it is there already"
    assert not append(b"one", fence=FENCE - 1)
    assert stored() == b"one"


# Reading


def test_an_attempt_that_has_printed_nothing_yet_has_an_empty_stream() -> None:
    assert read() == Slice("", 0, is_end=False)
    with pytest.raises(InvalidParameters, match="0 bytes, not 5"):
        read(offset=5)
    assert store.read_all(ATTEMPT, LOG) == Slice("", 0, is_end=False)


def test_a_reader_follows_a_writer_and_learns_of_the_end_once(attempt: int) -> None:
    assert read() == Slice("", 0, is_end=False)
    append(b"one ")
    assert read(0) == Slice("one ", 4, is_end=False)
    assert read(4) == Slice("", 4, is_end=False)
    append(b"two", start=4)
    assert read(4, size=2) == Slice("tw", 6, is_end=False)
    close()
    assert read(4, size=2) == Slice("tw", 6, is_end=False)
    assert read(6, size=2) == Slice("o", 7, is_end=True)
    assert read(7, size=2) == Slice("", 7, is_end=True)


def test_result_and_log_are_two_streams(attempt: int) -> None:
    append(b"out")
    append(b"err", kind=LOG)

    assert read().text == "out"
    assert read(kind=LOG).text == "err"


@pytest.mark.parametrize("split", [1, 2, 3])
def test_an_emoji_split_between_chunks_is_never_shown_in_parts(attempt: int, split: int) -> None:
    append(b"a" + EMOJI[:split])
    assert read() == Slice("a", 1, is_end=False)

    append(EMOJI[split:] + b"b", start=1 + split)

    assert read(1) == Slice("😀b", 6, is_end=False)
    assert read(1, size=1) == Slice("😀", 5, is_end=False)
    assert read(2, size=1) == Slice("b", 6, is_end=False)


def test_a_character_that_never_came_whole_is_replaced_at_the_end(attempt: int) -> None:
    append(b"a" + EMOJI[:2])
    close()

    assert read() == Slice("a\N{REPLACEMENT CHARACTER}", 3, is_end=True)


def test_nul_and_invalid_bytes_keep_their_places(attempt: int) -> None:
    append(b"a\x00\xff\x1b[0mb")
    close()

    assert read() == Slice("a\x00\N{REPLACEMENT CHARACTER}\x1b[0mb", 8, is_end=True)
    assert read(3) == Slice("\x1b[0mb", 8, is_end=True)


@pytest.mark.parametrize(
    ("offset", "size", "names"),
    [
        pytest.param(-1, 1, ["offset"], id="negative offset"),
        pytest.param(4, 1, ["offset"], id="beyond the size"),
        pytest.param(0, 0, ["size"], id="no characters"),
        pytest.param(-1, -1, ["offset", "size"], id="both wrong"),
    ],
)
def test_a_silly_range_is_refused_by_name(
    attempt: int, offset: int, size: int, names: list[str]
) -> None:
    append(b"one")

    with pytest.raises(InvalidParameters) as refusal:
        read(offset, size)

    assert [problem.split()[0] for problem in refusal.value.problems] == names


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    chunks=st.lists(
        st.one_of(st.binary(min_size=1, max_size=9), st.just(EMOJI[:2]), st.just(EMOJI[2:])),
        max_size=12,
    ),
    size=st.integers(1, 7),
)
def test_whatever_was_appended_is_read_whole_and_ends_once(
    db: None, chunks: list[bytes], size: int
) -> None:
    retention.delete_of([ATTEMPT])
    end = 0
    for chunk in chunks:
        assert append(chunk, start=end)
        end += len(chunk)
    close()

    slices = [read(0, size)]
    while not slices[-1].is_end:
        slices.append(read(slices[-1].offset, size))
        assert slices[-1].offset > slices[-2].offset

    assert slices[-1].offset == end
    assert "".join(piece.text for piece in slices) == b"".join(chunks).decode("utf-8", "replace")


@pytest.mark.usefixtures("spelled_statements")
def test_a_read_costs_the_same_anywhere_in_a_stream_of_any_size(
    attempt: int, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    size = 0
    for _ in range(40):
        append(b"x" * 200_000, start=size)
        size += 200_000

    for offset in (0, size // 2, size - 10):
        with django_assert_num_queries(2):
            assert read(offset, 10).text == "x" * 10
    assert max(len(bytes(chunk.data)) for chunk in Chunk.objects.all()) <= 64 * 1024


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL scans tables this small")
def test_a_read_searches_indexes_and_scans_nothing(attempt: int) -> None:
    append(b"x")

    with CaptureQueriesContext(connection) as queries:
        read()

    plans = []
    for query in queries.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plans += [row[3] for row in cursor.fetchall() if "SUBQUERY" not in row[3]]
    assert len(plans) == 3
    assert all(plan.startswith("SEARCH") for plan in plans), plans


def test_all_of_a_small_stream_is_read_at_once(attempt: int) -> None:
    append("é".encode() * 5)
    close()

    assert store.read_all(attempt, RESULT, limit=10) == Slice("é" * 5, 10, is_end=True)


@pytest.mark.parametrize(
    ("kind", "pointer"), [(RESULT, "/api/log/readResult"), (LOG, "/api/log/readExecuteLog")]
)
def test_a_large_stream_is_refused_with_a_pointer_to_the_piecewise_read(
    attempt: int, kind: StreamKind, pointer: str
) -> None:
    append(b"x" * 11, kind=kind)

    with pytest.raises(Refused, match=pointer):
        store.read_all(attempt, kind, limit=10)


def test_chunks_that_went_missing_are_no_end(attempt: int) -> None:
    append(b"one")
    close()
    Chunk.objects.all().delete()

    with pytest.raises(NotFound):
        read()


# Counting and deleting


def test_deleting_an_attempts_output_leaves_the_others(attempt: int) -> None:
    store.append(8, LOG, fence=1, start=0, data=b"theirs")
    append(b"ours")
    assert store.sizes([attempt, 8, 9]) == {
        (attempt, RESULT): 4,
        (8, LOG): 6,
    }

    assert retention.delete_of([attempt, 9]) == 4

    assert store.sizes([attempt, 8]) == {(8, LOG): 6}
    assert stored() == b""
    assert store.read(8, LOG, offset=0, size=10).text == "theirs"
