"""Requests per second of the API under gunicorn, beside the least that an endpoint can do.

``ratio`` compares with that floor in the same round, so that a busy machine does not decide;
``cpu_ratio`` does so with the ``cpu_ms`` that web process and database spend on an answer.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import statistics
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import stack
from records import make_jobs, new_app

from jobs.models import App
from logs_app import store
from logs_app.models import StreamKind
from sentinel_project import clock
from sentinel_project.chained import chained
from sentinel_project.wire import token
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import AttemptStatus, TaskKind, TaskStatus

CLIENTS = 4
ROUNDS = 7
_stamps = itertools.count(int(clock.now().timestamp() * 1000) - 60_000)


@dataclass(slots=True)
class Series:
    """What was measured of one endpoint: answers per second of each round, and each answer's ms.

    ``cpu``: the ms that an answer costs web process and database, in each round.
    """

    rates: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Client:
    app: App
    key: str

    def body(self, **params: object) -> bytes:
        stamp = str(next(_stamps))
        fields = {
            "user": "bench",
            "appName": self.app.name,
            "appToken": stamp + token.signature(self.key, stamp),
            "parameters": json.dumps(params),
        }
        return urllib.parse.urlencode(fields).encode()


@contextmanager
def web(port: int) -> Iterator[stack.Stack]:
    """The web process of ``up``, with the floor beside our endpoints."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    running = stack.Stack(beats=0, slots=0)
    running.url = f"http://127.0.0.1:{port}"
    argv = stack.web_command(running.url)
    running.keep("web", ["floor:application" if "wsgi" in word else word for word in argv])
    try:
        running.wait(lambda: stack.listens(running.url), "web")
        yield running
    finally:
        running.stop()


def finished_task(app: App) -> Task:
    """Return a task that succeeded and printed 4,000 bytes."""
    (job,) = make_jobs(1, app, now=clock.now())
    now = clock.now()
    task = Task.objects.create(
        job=job,
        kind=TaskKind.SCHEDULE.value,
        status=TaskStatus.SUCCESS.value,
        due_at=now,
        data_at=now,
        opened_at=now,
        released_at=now,
        ready_at=now,
        started_at=now,
        ended_at=now,
        worker_group_id=1,
        attempt_count=1,
        fence=1,
    )
    attempt = Attempt.objects.create(
        task=task,
        number=1,
        fence=1,
        status=AttemptStatus.SUCCESS.value,
        worker="bench",
        claimed_at=now,
        started_at=now,
        ended_at=now,
        lease_until=now,
        content="{}",
    )
    store.append(attempt.pk, StreamKind.RESULT, fence=1, start=0, data=b"0123456789" * 400)
    chained(store.closing(attempt.pk, fence=1, now=now))
    return task


def measure(port: int, path: str, bodies: Sequence[bytes], series: Series) -> None:
    """Send all bodies over kept connections, each client the next one when it has its answer."""
    left = iter(bodies)
    lock = threading.Lock()
    kind = "application/json" if path == "/floor" else "application/x-www-form-urlencoded"

    def work() -> None:
        """Ask until nothing is left."""
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            with lock:
                body = next(left, None)
            if body is None:
                link.close()
                return
            began = clock.monotonic()
            link.request("POST", path, body, {"Content-Type": kind})
            reply = link.getresponse()
            answer = json.loads(reply.read())
            series.times.append((clock.monotonic() - began) * 1000)
            if answer.get("code", 0) != 0:
                raise ValueError(answer["msg"])

    began = clock.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        for done in [clients.submit(work) for _ in range(CLIENTS)]:
            done.result()
    series.rates.append(len(bodies) / (clock.monotonic() - began))


def report(name: str, series: Series, floor: Series) -> None:
    more = {
        "ratio": _median_ratio(series.rates, floor.rates),
        "cpu_ms": round(statistics.median(series.cpu), 2),
        "cpu_ratio": _median_ratio(floor.cpu, series.cpu),
    }
    stack.figure(f"api.{name}", series.rates, "1/s", **more)
    stack.figure(f"api.{name}.time", series.times, "ms")


def _median_ratio(mine: Sequence[float], others: Sequence[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(mine, others, strict=True)), 3)


def main() -> None:
    names = itertools.count()
    with stack.database():
        app, key = new_app()
        task, client = finished_task(app), Client(app, key)
        asked: dict[str, tuple[str, Callable[[], bytes]]] = {
            "floor": ("/floor", lambda: json.dumps({"taskId": task.pk}).encode()),
            "status": ("/api/task/query/status", lambda: client.body(taskId=task.pk)),
            "readResult": ("/api/log/readResult", lambda: client.body(taskId=task.pk)),
            "submit": (
                "/api/job/submit",
                lambda: client.body(
                    jobName=f"api {next(names)}",
                    jobType="dummy",
                    content="{}",
                    scheduleExpressionList=[{"operatorMode": 1, "expression": "0 3 * * *"}],
                ),
            ),
        }
        found = {name: Series() for name in asked}
        port = stack.free_port()
        with web(port) as running:
            for number in range(ROUNDS + 1):
                for name, (path, body) in asked.items():
                    series = found[name] if number else Series()  # the first one only warms up
                    bodies = [body() for _ in range(stack.scaled(400))]
                    spent = running.cpu_seconds()
                    measure(port, path, bodies, series)
                    spent = running.cpu_seconds() - spent
                    series.cpu.append(spent / len(bodies) * 1000)
        for name, series in found.items():
            report(name, series, found["floor"])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
