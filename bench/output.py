"""1 GB of binary output through one attempt: every byte as it was, memory flat, reads alike."""

from __future__ import annotations

import hashlib
import random
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import psutil
import stack
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from records import make_jobs, new_app

from logs_app import store
from logs_app.models import Chunk, Stream, StreamKind
from sentinel_project import clock
from tasks_app import runner
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import TaskKind, TaskStatus

MEGABYTE = 1 << 20
SIZE = stack.scaled(1024) * MEGABYTE
#: NUL, ANSI, invalid UTF-8 and emoji that end up cut anywhere, a line of hundreds of megabytes.
BLOCK = random.Random(1).randbytes(MEGABYTE - 24).replace(b"\n", b" ") + "🚀".encode() * 4
PROGRAM = """
import os, sys
block = open(sys.argv[1], "rb").read()
for number in range(int(sys.argv[2])):
    sys.stdout.buffer.write(number.to_bytes(8, "big") + block)
"""
_READS = 50


class Peak(threading.Thread):
    """The most memory that this process had while it was watched, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._is_over = threading.Event()
        self.before = self.bytes = psutil.Process().memory_info().rss
        self.start()

    def run(self) -> None:
        while not self._is_over.wait(0.05):
            self.bytes = max(self.bytes, psutil.Process().memory_info().rss)

    def stop(self) -> None:
        self._is_over.set()
        self.join()


def new_task(now: datetime) -> Task:
    """Return a READY task that prints ``SIZE`` bytes."""
    block, program = stack.PLACE / "block", stack.PLACE / "program.py"
    block.write_bytes(BLOCK)
    program.write_text(PROGRAM)
    count = SIZE // (len(BLOCK) + 8)
    content = f"exec python3 {program} {block} {count}"
    app, _ = new_app()
    (job,) = make_jobs(1, app, now=now, job_type="shell", content=content, is_one_off=True)
    stamps = {"due_at": now, "data_at": now, "opened_at": now, "released_at": now, "ready_at": now}
    kind, status = TaskKind.TEMP.value, TaskStatus.READY.value
    return Task.objects.create(job=job, kind=kind, status=status, worker_group_id=1, **stamps)


def printed() -> tuple[int, str]:
    """Return how many bytes were printed, and their digest."""
    digest, count = hashlib.sha256(), SIZE // (len(BLOCK) + 8)
    for number in range(count):
        digest.update(number.to_bytes(8, "big") + BLOCK)
    return count * (len(BLOCK) + 8), digest.hexdigest()


def kept(attempt: Attempt) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    stream = Stream.objects.get(attempt_id=attempt.pk, kind=StreamKind.RESULT)
    starts = Chunk.objects.filter(stream=stream).order_by("start").values_list("start", flat=True)
    for start in list(starts):
        data = bytes(Chunk.objects.values_list("data", flat=True).get(stream=stream, start=start))
        digest.update(data)
        size += len(data)
    return size, digest.hexdigest()


def milliseconds(work: Callable[[], object]) -> list[float]:
    taken = []
    for _ in range(_READS):
        began = clock.monotonic()
        work()
        taken.append((clock.monotonic() - began) * 1000)
    return taken


def measure_read(attempt: Attempt, name: str, offset: int) -> None:
    def read() -> object:
        return store.read(attempt.pk, StreamKind.RESULT, offset=offset, size=10_000)

    with CaptureQueriesContext(connection) as queries:
        read()
    stack.figure(name, milliseconds(read), "ms", statements=len(queries), offset=offset)


def main() -> int:
    with stack.database():
        settings.SENTINEL_STREAM_CAP = SIZE * 2
        settings.SENTINEL_WORK_DIR = stack.PLACE / "work"
        task = new_task(clock.now() - timedelta(seconds=1))
        peak, began = Peak(), clock.monotonic()
        runner.run(task.pk, worker="bench", clock=clock.now)
        taken = clock.monotonic() - began
        peak.stop()
        attempt = Attempt.objects.get(task=task)
        size, digest = printed()
        is_whole = kept(attempt) == (size, digest) and attempt.status == "SUCCESS"
        grew = (peak.bytes - peak.before) / MEGABYTE
        more = {"bytes": size, "mismatched": int(not is_whole), "status": attempt.status}
        stack.figure("output.rate", [size / MEGABYTE / taken], "MB/s", **more)
        stack.figure("output.worker_grew", [grew], "MB")
        measure_read(attempt, "output.read_first", 0)
        measure_read(attempt, "output.read_last", size - 20_000)
    return int(not is_whole)


if __name__ == "__main__":
    sys.exit(main())
