"""A few megabytes of binary through one attempt, as ``bench/output.py`` does with a gigabyte."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from logs_app import store
from logs_app.models import Chunk, StreamKind
from sentinel_project import clock
from tasks_app import runner
from tasks_app.models import Attempt
from tasks_app.rules.states import AttemptStatus, TaskKind
from tests.builders import make_task
from tests.flow.runs import job_of

#: NUL, ANSI and invalid UTF-8 anywhere, emoji that chunks cut, and one line from end to end.
BLOCK = random.Random(1).randbytes(65_000).replace(b"\n", b" ") + "🚀".encode() * 111 + b"\x1b[0m"
COUNT = 64
PROGRAM = """
import sys
block = open(sys.argv[1], "rb").read()
for number in range(int(sys.argv[2])):
    sys.stdout.buffer.write(number.to_bytes(8, "big") + block)
"""


def steps(work: Callable[[], object]) -> int:
    """Return how many instructions of its machine SQLite needs for some work."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    connection.connection.set_progress_handler(step, 1)
    try:
        work()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return count


@pytest.mark.usefixtures("spelled_statements")
def test_no_byte_is_lost_or_changed_and_a_read_costs_the_same_anywhere(
    committed_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X-30, X-31."""
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    block, program = tmp_path / "block", tmp_path / "program.py"
    block.write_bytes(BLOCK)
    program.write_text(PROGRAM)
    printed = b"".join(number.to_bytes(8, "big") + BLOCK for number in range(COUNT))

    job = job_of("shell", f"exec python3 {program} {block} {COUNT}")
    task = make_task(job=job, kind=TaskKind.MANUAL.value)

    runner.run(task.pk, worker="w1", clock=clock.now)

    attempt = Attempt.objects.get(task=task)
    assert (attempt.status, attempt.exit_code) == (AttemptStatus.SUCCESS, 0)
    chunks = Chunk.objects.filter(
        stream__attempt_id=attempt.pk, stream__kind=StreamKind.RESULT
    ).order_by("start")
    kept = b"".join(bytes(data) for data in chunks.values_list("data", flat=True))
    assert len(kept) == len(printed)
    assert sum(ours != theirs for ours, theirs in zip(kept, printed, strict=True)) == 0
    assert chunks.count() > COUNT / 2, "too few chunks to tell a search from a scan"

    def read(offset: int) -> Callable[[], object]:
        return lambda: store.read(attempt.pk, StreamKind.RESULT, offset=offset, size=10_000)

    first, last = read(0), read(len(printed) - 20_000)
    statements = []
    for one in (first, last):
        with CaptureQueriesContext(connection) as queries:
            one()
        statements.append(len(queries))
    assert statements == [2, 2]
    if connection.vendor == "sqlite":
        assert steps(last) < 1.2 * steps(first)
