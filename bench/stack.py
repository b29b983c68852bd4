"""The measured system, in a place of its own that goes away: real processes, or a database alone.

Importing it chooses the place and sets Django up, so a script imports it before all of the product.
``--stack server`` takes Postgres and RabbitMQ of this machine instead of the embedded default.
"""

from __future__ import annotations

import argparse
import atexit
import json
import logging
import os
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import django
import psutil
import psycopg2
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from sentinel_project import broker, clock, env
from sentinel_project.serving import command
from sentinel_project.supervisor import Part, Supervisor
from sentinel_project.wire import token
from tests.brokers import clear_rabbitmq

POSTGRES = os.environ.get("BENCH_POSTGRES", "postgres://postgres@127.0.0.1:5432")
RABBITMQ = os.environ.get("BENCH_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")
CELERY = (sys.executable, "-m", "celery", "-q", "-A")
_HOST = "127.0.0.1"
_FRONT, _WORKERS, _BROKER = range(3)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--stack", choices=["embedded", "server"], default="embedded")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--history", type=int, default=0, help="finished tasks that are there")
    return parser.parse_args()


OPTIONS = _options()
NAME = f"sentinel_bench_{os.getpid()}"


def _choose_place() -> Path:
    place = Path(tempfile.mkdtemp(prefix="sentinel-bench-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "sentinel_project.settings",
        "SENTINEL_RUN_DIR": str(place),
        "SENTINEL_BROKER_PREFIX": NAME,
        "SENTINEL_ALLOW_ROOT": "1",
        "SENTINEL_DRAIN": "1",
        "SENTINEL_DATABASE_URL": f"{POSTGRES}/{NAME}" if OPTIONS.stack == "server" else "",
        "SENTINEL_BROKER_URL": RABBITMQ if OPTIONS.stack == "server" else "",
    }
    return place


PLACE = _choose_place()
django.setup()
SLOTS = settings.CELERY_WORKER_CONCURRENCY
logging.disable(logging.INFO)  # of this process; the measured ones log as they always do


def scaled(count: int) -> int:
    """Return how much of the work to do."""
    return max(2, count // 10) if OPTIONS.quick else count


def figure(name: str, values: Sequence[float], unit: str, **more: Any) -> None:
    """Print one figure as a line of JSON; ``value`` is the median."""
    ordered = sorted(values)
    median = statistics.median(ordered)
    line = {
        "name": name,
        "value": _rounded(median),
        "unit": unit,
        "n": len(ordered),
        "median": _rounded(median),
        "p95": _rounded(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]),
        "stack": OPTIONS.stack,
        "load": round(os.getloadavg()[0], 1),
    }
    _figures.append(line | more)
    print(json.dumps(line | more), flush=True)


_figures: list[dict[str, Any]] = []
#: What every figure has, and what the table has no room for.
_COLUMNS = ("name", "median", "p95", "unit", "n", "load")
_ASIDE = frozenset({*_COLUMNS, "value", "stack"})


def table() -> None:
    """Print the figures so far once more, for people."""
    rows = [_COLUMNS, *(tuple(str(line[name]) for name in _COLUMNS) for line in _figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    notes = ["", *(_note(line) for line in _figures)]
    print()
    for row, note in zip(rows, notes, strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join((*cells, note)).rstrip())


def _note(line: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in line.items() if name not in _ASIDE)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


@contextmanager
def database() -> Iterator[None]:
    """A fresh database with all tables; on Postgres it is dropped afterwards."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if OPTIONS.stack == "server":
        _on_postgres(f"CREATE DATABASE {NAME}")
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connection.close()
        if OPTIONS.stack == "server":
            _on_postgres(f"DROP DATABASE {NAME} WITH (FORCE)")
        for path in PLACE.glob("sentinel.sqlite3*"):
            path.unlink()


def _on_postgres(statement: str) -> None:
    raw = psycopg2.connect(f"{POSTGRES}/postgres", connect_timeout=5)
    raw.autocommit = True
    with raw.cursor() as cursor:
        cursor.execute(statement)
    raw.close()


class Stack:
    """Web, beats, a worker and, embedded, the broker; whatever ends is started again."""

    def __init__(self, *, beats: int, slots: int) -> None:
        (PLACE / "log").mkdir(exist_ok=True)
        self.url = f"http://{_HOST}:{free_port()}"
        self._supervisor = Supervisor(settings.BASE_DIR, PLACE / "log", lambda line: None)
        self._beats = [f"beat{number}" for number in range(beats)]
        self._slots = slots
        self._stamp = 0

    def start(self) -> None:
        """Start all parts and wait until each of them works."""
        from tasks_app.models import Scheduler, Worker

        if settings.BROKER_IS_EMBEDDED:
            self._start_broker()
        self.keep("web", web_command(self.url), _FRONT)
        for name in self._beats:
            self.keep(name, [*CELERY, "sentinel_project.celery", "beat", "--pidfile="], _FRONT)
        slots = f"--concurrency={self._slots}"
        self.keep("worker", worker_command("sentinel_project.celery", NAME, slots), _WORKERS)
        self.wait(lambda: Worker.objects.exists(), "worker")
        self.wait(lambda: Scheduler.objects.count() == len(self._beats), "beat")
        self.wait(lambda: listens(self.url), "web")

    def keep(self, name: str, argv: Sequence[str], stage: int = _WORKERS) -> None:
        """Start one part."""
        self._supervisor.start(Part(name=name, argv=argv, stage=stage))

    def stop(self) -> None:
        self._supervisor.stop()

    def kill(self, phrase: str) -> None:
        """End the first part whose command line has ``phrase``, by SIGKILL; it starts again."""
        for child in psutil.Process().children():
            if phrase in " ".join(child.cmdline()):
                child.kill()
                return
        raise LookupError(phrase)

    def wait(self, condition: Callable[[], object], what: str, within: float = 120) -> None:
        """Look after the parts until ``condition`` holds; TimeoutError says what did not come."""
        deadline = clock.monotonic() + within
        pause = threading.Event()
        while not condition():
            if clock.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {within:g} s{_last_words()}")
            self._supervisor.watch()
            pause.wait(0.02)

    def cpu_seconds(self) -> float:
        """Return what all parts, and the database's sessions for them, have spent so far.

        It tells more than the clock where others use the machine. Not counted are a broker that is
        a server, and what ended.
        """
        processes = psutil.Process().children(recursive=True)
        if OPTIONS.stack == "server":
            processes += [process for process in psutil.process_iter() if _is_session(process)]
        return sum(map(_cpu_seconds, processes))

    def submit(self, app_name: str, key: str, **params: Any) -> int:
        """Submit a job over REST, signed, and return its jobId."""
        self._stamp = max(self._stamp + 1, int(clock.now().timestamp() * 1000))
        fields = {
            "user": "bench",
            "appName": app_name,
            "appToken": f"{self._stamp}{token.signature(key, str(self._stamp))}",
            "parameters": json.dumps(params),
        }
        body = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(f"{self.url}/api/job/submit", body, timeout=30) as reply:
            envelope = json.load(reply)
        if envelope["code"] != 0:
            raise ValueError(envelope["msg"])
        return int(json.loads(envelope["data"])["jobId"])

    def _start_broker(self) -> None:
        socket_path, data = env.socket_path(PLACE), PLACE / "broker"
        data.mkdir(mode=0o700)
        self.keep("broker", broker.embedded_command(socket_path, data), _BROKER)
        self.wait(socket_path.exists, "broker")


@contextmanager
def running(*, beats: int = 1, slots: int = SLOTS) -> Iterator[Stack]:
    """The whole system on a fresh database; nothing of it is left afterwards."""
    with database():
        stack = Stack(beats=beats, slots=slots)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()
            shutil.rmtree(PLACE / "broker", ignore_errors=True)
            if OPTIONS.stack == "server":
                for prefix in (NAME, *map(bare_queue, (1, 2, 4))):
                    clear_rabbitmq(RABBITMQ, prefix)


def worker_command(module: str, node: str, *more: str) -> list[str]:
    """Return the command line of a worker as ``up`` starts it."""
    return [*CELERY, module, "worker", "-n", f"{node}@%h", *_QUIET, *more]


_QUIET = ("-P", "prefork", "--without-gossip", "--without-mingle")


def web_command(url: str) -> list[str]:
    return command.web_command(url.removeprefix("http://"), "--graceful-timeout", "3", threads=8)


def _is_session(process: psutil.Process) -> bool:
    try:
        return process.name() == "postgres" and NAME in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def listens(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5):
            return True
    except OSError:
        return False


def _last_words() -> str:
    """Return the end of every part's log."""
    logs = sorted((PLACE / "log").glob("*.log"))
    return "".join(f"\n-- {log.name}\n{log.read_text()[-2000:]}" for log in logs)


def bare_queue(slots: int) -> str:
    """Return the queue of Celery alone, with so many slots."""
    return f"{NAME}.bare.{slots}"
