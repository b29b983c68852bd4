"""What is heard in a client's LOG: ids of applications in any pieces, and why it failed (X-21)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.executors.base import Stop
from tasks_app.executors.yarn import Heard

EPOCH = 1_700_000_000_000
LOG = (
    f"INFO mapreduce.JobSubmitter: Submitting tokens for job: job_{EPOCH}_0001\n"
    f"INFO impl.YarnClientImpl: Submitted application application_{EPOCH}_0001\n"
    f"größer: http://rm:8088/proxy/application_{EPOCH}_0002/ application_{EPOCH}_12345 "
    f"job_local1_0003 job_20260301_0004 container_{EPOCH}_0005_01_000001 application_{EPOCH}\n"
    f"application_{EPOCH}_0006"
).encode()
FOUND = [f"application_{EPOCH}_{number}" for number in ("0006", "12345", "0002", "0001")]


class Nowhere:
    """An output that keeps nothing."""

    def result(self, data: bytes) -> None: ...

    def log(self, data: bytes) -> None: ...


def applications(made: Heard) -> list[str]:
    return list(made.applications(datetime(2026, 3, 4, tzinfo=UTC)))


def heard(*pieces: bytes) -> Heard:
    made = Heard(Nowhere(), Stop())
    for piece in pieces:
        made.log(piece)
    return made


@given(st.lists(st.integers(1, 90), max_size=40))
def test_ids_are_found_whole_however_log_is_cut(sizes: list[int]) -> None:
    pieces, rest = [], LOG
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]

    assert applications(heard(*pieces, rest)) == FOUND


def test_ids_are_found_in_single_bytes_and_behind_a_long_line() -> None:
    assert applications(heard(*(bytes([byte]) for byte in LOG))) == FOUND
    assert applications(heard(b"x" * 10**6, LOG)) == FOUND


def test_ids_of_the_result_are_data() -> None:
    made = heard()

    made.result(LOG)

    assert applications(made) == []


def test_of_very_many_ids_the_newest_are_kept() -> None:
    made = heard(b"".join(b"application_1_%d\n" % number for number in range(5000)))

    found = applications(made)

    assert (len(found), found[0], found[-1]) == (1000, "application_1_4999", "application_1_4000")


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ('Exception in thread "main" a.B: x\n\tat c\nbye\n', 'Exception in thread "main" a.B: x'),
        ("a.B: x\n\tat c\nCaused by: d.E: größer\n\tat f\n", "Caused by: d.E: größer"),
        (
            "Traceback\n  File x\na.b.AnalysisException: [NO] y\n1 INFO z\n",
            "a.b.AnalysisException: [NO] y",
        ),
        ("Error: Failed to load class Gone.\n", "Error: Failed to load class Gone."),
        ("FAILED: SemanticException [Error 1] t\n", "FAILED: SemanticException [Error 1] t"),
        (
            "26/03/01 09:00:00 ERROR Client: no\n26/03/01 INFO x: y\n",
            "26/03/01 09:00:00 ERROR Client: no",
        ),
        (
            "INFO mapreduce.Job: Job j failed with state KILLED due to: q\n",
            "INFO mapreduce.Job: Job j failed with state KILLED due to: q",
        ),
        ("all is well\n  ERROR\nERRORS: none\n", ""),
        ("", ""),
    ],
)
def test_the_last_line_that_tells_of_a_failure_is_its_reason(log: str, words: str) -> None:
    assert heard(log.encode()).words() == words


def test_a_python_program_tells_why_in_the_result() -> None:
    made = heard(b"26/03/01 09:00:00 ERROR Executor: task 1\n")
    made.result(b"a.Error: old\nTraceback (most recent call last):\n  File x\n")
    made.result("a.b.AnalysisException: größer\n'Project [*]\nlast\n".encode())

    assert made.words() == "a.b.AnalysisException: größer"


def test_a_very_long_reason_is_cut() -> None:
    assert heard(b"FAILED: " + b"x" * 5000).words() == "FAILED: " + "x" * 992
