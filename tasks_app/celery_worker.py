"""What a Celery worker does beside running tasks: it registers, beats, drains and leaves."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from typing import Any

from celery import bootsteps
from celery.signals import (
    celeryd_init,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
)
from celery.worker import state
from django.conf import settings
from django.db import connection

from sentinel_project import clock, memory, timekeeping
from sentinel_project.celery import app, queue_for
from tasks_app import reports, runner, workers
from tasks_app.executors import containment, lacks, workspace

logger = logging.getLogger(__name__)


@worker_init.connect
def settle_in(**_: Any) -> None:
    """Before the pool forks, so that its children share what is loaded for good."""
    memory.settle()


@celeryd_init.connect
def serve_own_groups(**_: Any) -> None:
    """Consume the queues of SENTINEL_WORKER_GROUPS (D-81), and housekeeping's."""
    own = [queue_for(group_id) for group_id in settings.SENTINEL_WORKER_GROUPS]
    for queue in own:
        app.amqp.queues.add(queue)
    app.amqp.queues.select([*(queue.name for queue in own), settings.CELERY_TASK_DEFAULT_QUEUE])


class Told:
    """In a pool's child that runs a task, SIGTERM means: end the run and hand it back.

    Only while it runs: an idle child goes by the pool's own handler, which the pool installs after
    every hook of a child's start.
    """

    def __init__(self) -> None:
        self._is_child = False
        self._former: Any = None

    def note_child(self, **_: Any) -> None:
        self._is_child = True

    def listen(self, **_: Any) -> None:
        if self._is_child:
            self._former = signal.signal(signal.SIGTERM, _hand_back)

    def stop_listening(self, **_: Any) -> None:
        if self._is_child:
            signal.signal(signal.SIGTERM, self._former)


def _hand_back(*_: object) -> None:
    # Not here: the thread that was interrupted may hold the very lock this needs.
    threading.Thread(target=runner.shut_down, name="hand back").start()


TOLD = Told()
worker_process_init.connect(TOLD.note_child)
task_prerun.connect(TOLD.listen)
task_postrun.connect(TOLD.stop_listening)


class Signals:
    """SIGTERM drains, SIGQUIT hands back at once, and the same signal again ends everything."""

    def __init__(self, parent: Any) -> None:
        self._parent = parent
        self._pid = os.getpid()
        self._heard: set[int] = set()
        #: Set when runs are to be handed back without waiting for the end of the drain.
        self.is_urgent = threading.Event()

    def take(self) -> None:
        """Replace Celery's handlers: its cold shutdown waits for threads, or kills without word."""
        for number in (signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, self._hear)

    def _hear(self, number: int, _: object) -> None:
        if os.getpid() != self._pid:
            return  # a pool's child that inherited the handler
        if number in self._heard:
            self._end_now()
        self._heard.add(number)
        if number == signal.SIGQUIT:
            self.is_urgent.set()
        state.should_stop = os.EX_OK  # type: ignore[assignment]

    def _end_now(self) -> None:
        """Leave at once. What runs dies with its worker, and the rescuer finds out."""
        for child in _children(self._parent):
            os.kill(child, signal.SIGKILL)
        os._exit(1)


class Presence(bootsteps.StartStopStep):
    """Keeps the worker in the registry, and bounds how long it takes to stop.

    It starts after the pool, so that no child inherits its thread or a connection, and so it is
    stopped before the pool is joined: the drain starts when no more messages come in.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None
        self._signals = Signals(parent)

    def start(self, parent: Any) -> None:
        self._signals.take()
        self._thread = threading.Thread(
            target=self._stay, args=(_registration(parent),), name="presence", daemon=True
        )
        self._thread.start()

    def stop(self, parent: Any) -> None:
        self._leaving.set()
        if self._thread is not None:
            self._thread.join(timeout=workers.BEAT_EVERY.total_seconds())
        words = (parent, self._signals.is_urgent)
        threading.Thread(target=_drain, args=words, name="drain", daemon=True).start()

    def _stay(self, registration: workers.Registration) -> None:
        _sweep()
        self._say(registration, is_leaving=False)
        while not self._leaving.wait(workers.BEAT_EVERY.total_seconds()):
            self._say(registration, is_leaving=False)
        self._say(registration, is_leaving=True)

    def _say(self, registration: workers.Registration, *, is_leaving: bool) -> None:
        """Tell the database, on a connection that no fork can meet and no outage can spoil.

        Whatever goes wrong, the next beat comes: a worker that is not heard of is not rung.
        """
        try:
            with contextlib.closing(connection):
                timekeeping.agree()
                if is_leaving:
                    workers.stop(registration, now=clock.now())
                elif not workers.beat(registration, now=clock.now()):
                    workers.register(registration, now=clock.now())
                reports.report_left(settings.SENTINEL_WORK_DIR, now=clock.now())
        except Exception:
            logger.exception("worker.beat_failed")


def _sweep() -> None:
    """Remove what workers that died on this host left behind: processes first, then directories."""
    try:
        workspace.sweep_orphans(settings.SENTINEL_WORK_DIR)
        workspace.sweep_workspaces(settings.SENTINEL_WORK_DIR)
    except Exception:  # a worker that could not sweep serves all the same
        logger.exception("worker.sweep_failed")


def _registration(parent: Any) -> workers.Registration:
    return workers.Registration(
        name=parent.hostname,
        host=socket.gethostname(),
        pid=os.getpid(),
        pool=parent.pool_cls.__module__.rsplit(".", 1)[-1],
        slots=parent.concurrency,
        group_ids=settings.SENTINEL_WORKER_GROUPS,
        containment=containment.choose().name,
        job_types=lacks(),
    )


def _drain(parent: Any, is_urgent: threading.Event) -> None:
    """Let runs go on for SENTINEL_DRAIN, then have them handed back until the process ends."""
    is_urgent.wait(settings.SENTINEL_DRAIN.total_seconds())
    while True:
        logger.info("worker.handing_back")
        runner.shut_down()
        for child in _children(parent):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        # A run that was just being claimed has not heard of it.
        threading.Event().wait(1)


def _children(parent: Any) -> list[int]:
    """Return the ids of the pool's processes; the threads pool has none of its own."""
    members = getattr(getattr(parent.pool, "_pool", None), "_pool", None) or ()
    return [pid for child in members if isinstance(pid := getattr(child, "pid", None), int)]


app.steps["worker"].add(Presence)
