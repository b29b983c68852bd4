"""The installation under test: two beats, two workers (one per pool), web, broker and database."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from kombu import Connection

from chaos import place, processes
from sentinel_project import broker, clock, env, supervisor
from sentinel_project.serving.command import web_command
from sentinel_project.supervisor import Part, Supervisor

_CELERY = (sys.executable, "-m", "celery", "-q", "-A", "sentinel_project.celery")
_FRONT, _WORKERS, _SERVERS = range(3)
_LOG = place.PLACE / "log"
_CLOCKS = place.PLACE / "clocks"
_FILLING = place.WORK / "filling"
_MAX_CONNECTIONS = 60
#: Ends that only a fault may bring about.
_FATAL = {signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT}
BEATS = ("beat1", "beat2")
POOLS = {"w1": "prefork", "w2": "threads"}
# A part that is killed every few seconds is no part that keeps crashing.
supervisor._LONGEST_PAUSE = 1.0


class World:
    """Everything that runs. A thread starts again what a fault has ended."""

    def __init__(self) -> None:
        _LOG.mkdir()
        self._supervisor = Supervisor(settings.BASE_DIR, _LOG, self._note_end)
        self._hit: set[int] = set()
        #: What parts of the product said last, before they ended without a fault.
        self.ended: list[str] = []
        self._is_over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def start(self) -> None:
        """Start all parts and wait until each of them answers."""
        from tasks_app.models import Scheduler, Worker

        if place.HAS_POSTGRES:
            self._start_postgres()
        call_command("migrate", verbosity=0)
        if place.OPTIONS.stack != "rabbitmq":
            self._start("broker", _broker_command(), _SERVERS)
        self._start("web", _web_command(), _FRONT)
        for name in BEATS:
            self._start(name, _with_clock(name, [*_CELERY, "beat", "--pidfile="]), _FRONT)
        for name, pool in POOLS.items():
            self._start(name, _with_clock(name, _worker_command(name, pool)), _WORKERS)
        self._keeper.start()
        self.wait(lambda: Worker.objects.count() == len(POOLS), "workers", 90)
        self.wait(lambda: Scheduler.objects.count() == 2, "beats", 90)
        self.wait(is_web_up, "web", 60)

    def stop(self) -> None:
        self._is_over.set()
        self._keeper.join()
        self._supervisor.stop()
        if place.PROXY is not None:
            _clear_rabbitmq()
            place.PROXY.close()

    def pids(self, name: str) -> list[int]:
        """Return the id of a part and those of its children, its runs' trees left out."""
        running = self._supervisor._running[name].process
        try:
            children = psutil.Process(running.pid).children()
        except psutil.NoSuchProcess:
            return []
        pool = [c.pid for c in children if "celery" in " ".join(processes.words_of(c))]
        return [running.pid, *(pool if name in POOLS else [c.pid for c in children])]

    def fork_servers(self) -> list[int]:
        """Return the ids of what the workers have started to fork the guards of runs."""
        found = []
        for pid in [pid for name in POOLS for pid in self.pids(name)]:
            with suppress(psutil.NoSuchProcess):
                found += [c.pid for c in psutil.Process(pid).children() if processes.forks(c)]
        return found

    def signal(self, pids: Sequence[int], number: signal.Signals) -> None:
        self._hit |= set(pids) if number in _FATAL else set()
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def wait(self, condition: Callable[[], object], what: str, within: float) -> None:
        """Wait until ``condition`` holds, whatever the database says meanwhile."""
        deadline = clock.monotonic() + within
        pause = threading.Event()
        while not _holds(condition):
            if clock.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {within:g} s")
            pause.wait(0.1)

    def _note_end(self, line: str) -> None:
        """Note a part of ours that nobody ended: one that crashes, or cannot start any more."""
        name = line.partition(" ")[0]
        running = self._supervisor._running[name]
        if running.part.stage != _SERVERS and running.process.pid not in self._hit:
            last = (_LOG / f"{name}.log").read_text(errors="replace").splitlines()[-1:]
            self.ended.append(f"{line.partition(';')[0]}: {' '.join(last)[-300:]}")

    def _start(self, name: str, argv: Sequence[str], stage: int) -> None:
        self._supervisor.start(Part(name=name, argv=argv, stage=stage))

    def _keep(self) -> None:
        while not self._is_over.wait(0.1):
            self._supervisor.watch()

    def _start_postgres(self) -> None:
        data = place.PLACE / "postgres"
        data.mkdir(mode=0o700)
        as_owner = _as_postgres(data)
        words = ["-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
        initdb = [*as_owner, str(_postgres_bin() / "initdb"), *words]
        subprocess.run(initdb, check=True, capture_output=True)
        conf = data / "postgresql.auto.conf"
        # A killed server loses nothing that the kernel has, so it need not wait for the disk.
        conf.write_text(
            f"port = {place.POSTGRES_PORT}\nlisten_addresses = '{place.HOST}'\nfsync = off\n"
            f"unix_socket_directories = ''\nmax_connections = {_MAX_CONNECTIONS}\n"
            "shared_buffers = 32MB\n"
        )
        self._start(
            "postgres", [*as_owner, str(_postgres_bin() / "postgres"), "-D", str(data)], _SERVERS
        )
        self.wait(lambda: _ask_postgres("SELECT 1"), "postgres", 60)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except (DatabaseError, psycopg2.Error):
        connection.close()
        return False


def _ask_postgres(statement: str) -> bool:
    url = f"postgres://postgres@{place.HOST}:{place.POSTGRES_PORT}/postgres"
    raw = psycopg2.connect(url, connect_timeout=3)
    raw.autocommit = True
    try:
        with raw.cursor() as cursor:
            cursor.execute(statement)
    finally:
        raw.close()
    return True


def cut_connections() -> None:
    """Have the server end every connection but the one that asks."""
    _ask_postgres(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


def take_connections() -> list[Any]:
    """Take whatever connections the server still gives, those for its superuser included."""
    url = f"postgres://postgres@{place.HOST}:{place.POSTGRES_PORT}/postgres"
    taken: list[Any] = []
    with suppress(psycopg2.OperationalError):
        while len(taken) < _MAX_CONNECTIONS:
            taken.append(psycopg2.connect(url, connect_timeout=3))
    return taken


def fill_disk() -> None:
    """Leave no byte where runs have their directories."""
    with suppress(OSError), _FILLING.open("wb", buffering=0) as filling:
        while filling.write(bytes(65_536)):
            pass


def free_disk() -> None:
    _FILLING.unlink(missing_ok=True)


def step_clock(name: str, seconds: int) -> None:
    """Put the wall clock of a part so far ahead, or behind; 0 puts it right."""
    with (_CLOCKS / name).open("r+b", buffering=0) as file:
        file.write(seconds.to_bytes(8, sys.byteorder, signed=True))


def purge_queue() -> None:
    """Throw away every message that waits."""
    with Connection(settings.CELERY_BROKER_URL, connect_timeout=3) as link:
        link.channel().queue_purge(broker.queue_name(place.NAME, 1))  # type: ignore[attr-defined]


def is_web_up() -> bool:
    try:
        with urllib.request.urlopen(f"{url()}/healthz", timeout=3):
            return True
    except OSError:
        return False


def url() -> str:
    return f"http://{place.HOST}:{place.WEB_PORT}"


def _as_postgres(data: Path) -> list[str]:
    """Return what goes before a command of the server, which refuses to run as root."""
    if os.geteuid() != 0:
        return []
    shutil.chown(data, "postgres", "postgres")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]


def _postgres_bin() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        raise FileNotFoundError("no PostgreSQL server under /usr/lib/postgresql")
    return found[-1].parent


def _broker_command() -> list[str]:
    data = place.PLACE / "broker"
    data.mkdir(mode=0o700)
    command = broker.embedded_command(env.socket_path(settings.RUN_DIR), data)
    if place.OPTIONS.stack == "redis":
        command += ["--port", str(place.REDIS_PORT), "--bind", place.HOST]
    return command


def _web_command() -> list[str]:
    address = f"{place.HOST}:{place.WEB_PORT}"
    return web_command(address, "--graceful-timeout", "3", workers=1, threads=8)


def _worker_command(name: str, pool: str) -> list[str]:
    quiet = ("--without-gossip", "--without-mingle", "--concurrency", "4")
    return [*_CELERY, "worker", "-n", f"{name}.{place.NAME}@%h", "-P", pool, *quiet]


def _with_clock(name: str, command: list[str]) -> list[str]:
    """Return the command line of a part that has a wall clock of its own, if such can be had."""
    if place.CLOCKS is None:
        return command
    _CLOCKS.mkdir(exist_ok=True)
    (_CLOCKS / name).write_bytes(bytes(8))
    return ["env", f"LD_PRELOAD={place.CLOCKS}", f"CHAOS_CLOCK={_CLOCKS / name}", *command]


def _clear_rabbitmq() -> None:
    with Connection(f"amqp://guest:guest@{place.HOST}:{place.RABBITMQ[1]}//") as link:
        channel = link.channel()
        for queue in (f"{place.NAME}.group.1", f"{place.NAME}.control"):
            channel.queue_delete(queue)  # type: ignore[attr-defined]
        for part in ("", ".group.1", ".control", ".control.pidbox", ".events"):
            channel.exchange_delete(f"{place.NAME}{part}")  # type: ignore[attr-defined]
        channel.exchange_delete(f"reply.{place.NAME}.control.pidbox")  # type: ignore[attr-defined]
