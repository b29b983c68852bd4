"""``manage.py up``: the whole of Sentinel on this machine, with one command (``make up``)."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from sentinel_project import broker, clock, demo, env
from sentinel_project.serving.command import web_command
from sentinel_project.supervisor import Lock, NotStarted, Part, Supervisor
from tasks_app import schedulers, workers

_HOST = "127.0.0.1"
_START_SECONDS = 60
_CELERY = (sys.executable, "-m", "celery", "-q", "-A", "sentinel_project.celery")
# The demo stops within seconds: what still runs then is handed back and runs at the next start.
_DRAIN_SECONDS = "3"
_FRONT, _WORKERS, _BROKER = range(3)


class Asked(BaseException):
    """A signal asked us to stop."""


class Command(BaseCommand):
    help = "Start everything, keep it running, and stop it all on Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        run_dir: Path = settings.RUN_DIR
        for directory in (run_dir / "log", settings.STATIC_ROOT):
            directory.mkdir(parents=True, exist_ok=True)
        lock = Lock(run_dir / "up.lock")
        if lock.holder is not None:
            raise CommandError(
                f"Sentinel already runs from {run_dir} (process {lock.holder});"
                " stop that one first, or choose another SENTINEL_RUN_DIR."
            )
        self.web_port = env.number("SENTINEL_WEB_PORT", 8000)
        self.flower_port = env.number("SENTINEL_FLOWER_PORT", 5555)
        self.url = f"http://{_HOST}:{self.web_port}"
        _refuse_taken("SENTINEL_WEB_PORT", self.web_port)
        _refuse_taken("SENTINEL_FLOWER_PORT", self.flower_port)
        self.supervisor = Supervisor(settings.BASE_DIR, run_dir / "log", self._say)
        self.is_stopping = False
        try:
            self._run()
        except NotStarted as error:
            raise CommandError(str(error)) from None
        except Asked:
            self._say("stopping")
        finally:
            self.is_stopping = True
            self.supervisor.stop()
        self._say("stopped")

    def _run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        began = clock.now()
        self._start_broker()
        self._migrate()
        credentials = demo.ensure_credentials(_credentials_path(), url=self.url, now=began)
        self._start_parts(credentials, began)
        self._announce(credentials)
        while True:
            self.supervisor.watch()
            threading.Event().wait(0.2)

    def _on_signal(self, *_: object) -> None:
        """Stop in order; asked a second time, stop at once."""
        if self.is_stopping:
            self.supervisor.kill()
        else:
            self.is_stopping = True
            raise Asked

    def _start_broker(self) -> None:
        if settings.BROKER_IS_EMBEDDED:
            self._start_embedded_broker()
        elif fault := broker.fault(settings.CELERY_BROKER_URL, settings.BROKER_PREFIX):
            raise CommandError(f"The broker of SENTINEL_BROKER_URL does not answer: {fault}")

    def _start_embedded_broker(self) -> None:
        socket_path, data_dir = env.socket_path(settings.RUN_DIR), settings.RUN_DIR / "broker"
        for directory in (socket_path.parent, data_dir):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            argv = broker.embedded_command(socket_path, data_dir)
        except FileNotFoundError as error:
            raise CommandError(str(error)) from None
        self.supervisor.start(Part(name="broker", argv=argv, stage=_BROKER))
        self.supervisor.wait_until(
            lambda: _listens(socket.AF_UNIX, str(socket_path)), "broker", _START_SECONDS
        )

    def _migrate(self) -> None:
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except DatabaseError as error:
            raise CommandError(f"The database does not answer: {error}") from None

    def _start_parts(self, credentials: demo.Credentials, began: datetime) -> None:
        beats = [f"beat{n or ''}" for n in range(env.number("SENTINEL_BEATS", 1))]
        parts = [self._web(), *map(_beat, beats), _worker(), self._flower(credentials)]
        for part in parts:
            self.supervisor.start(part)
        for name, is_ready in (
            ("web", lambda: _answers(f"{self.url}/healthz")),
            (beats[0], lambda: schedulers.live(clock.now()).filter(started_at__gte=began).exists()),
            ("worker", lambda: workers.live(clock.now()).filter(started_at__gte=began).exists()),
            ("flower", lambda: _listens(socket.AF_INET, (_HOST, self.flower_port))),
        ):
            self.supervisor.wait_until(is_ready, name, _START_SECONDS)
        connection.close()

    def _web(self) -> Part:
        return Part(
            name="web",
            argv=web_command(f"{_HOST}:{self.web_port}", "--graceful-timeout", "3"),
            stage=_FRONT,
        )

    def _flower(self, credentials: demo.Credentials) -> Part:
        """Flower can revoke and shut down, so it asks for the admin's password."""
        return Part(
            name="flower",
            argv=[*_CELERY, "flower", f"--address={_HOST}", f"--port={self.flower_port}"],
            stage=_FRONT,
            # Not on the command line, which every user of the machine can read.
            env={"FLOWER_BASIC_AUTH": f"{demo.ADMIN_NAME}:{credentials.admin_password}"},
        )

    def _announce(self, credentials: demo.Credentials) -> None:
        path = _credentials_path()
        self.stdout.write(f"\nSentinel is ready.\n\n  Admin   {self.url}/admin/")
        self.stdout.write(f"  Flower  http://{_HOST}:{self.flower_port}")
        if credentials.is_new:
            self.stdout.write(f"  User    {demo.ADMIN_NAME}  {credentials.admin_password}")
            self.stdout.write(f"  App     {demo.APP_NAME}  key {credentials.app_key}")
        self.stdout.write(f"  Passwords and keys are kept in {path}")
        self.stdout.write(f"  Logs    {settings.RUN_DIR / 'log'}")
        self.stdout.write("\nPaste into another terminal:\n\n" + demo.walk(path, url=self.url))
        self.stdout.write("Ctrl-C stops everything.")
        self.stdout.flush()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _credentials_path() -> Path:
    return Path(settings.RUN_DIR) / "credentials.json"


def _beat(name: str) -> Part:
    return Part(name=name, argv=[*_CELERY, "beat", "--pidfile="], stage=_FRONT)


def _worker() -> Part:
    pool = env.text("SENTINEL_WORKER_POOL", "prefork")
    node = f"{settings.BROKER_PREFIX}@%h"
    drain = os.environ.get("SENTINEL_DRAIN", _DRAIN_SECONDS)
    return Part(
        name="worker",
        argv=[*_CELERY, "worker", "-P", pool, "-n", node, "--without-gossip", "--without-mingle"],
        stage=_WORKERS,
        # Whoever starts the demo as root wants it to run all the same.
        env={"SENTINEL_ALLOW_ROOT": "1", "SENTINEL_DRAIN": drain},
        stop_seconds=float(drain) + 20,
    )


def _refuse_taken(variable: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            raise CommandError(
                f"Port {port} is taken; choose another: {variable}={port + 1} make up"
            ) from None


def _listens(family: socket.AddressFamily, address: Any) -> bool:
    with socket.socket(family) as probe:
        return probe.connect_ex(address) == 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310 (our own address)
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
