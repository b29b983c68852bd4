"""Task and attempt states and the edges between them (3-execution.md 4): data, not code.

The database's trigger is generated from these tables, so that an edge which is not listed here
is refused whoever asks (X-1).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum


class TaskStatus(IntEnum):
    WAITING = 1
    READY = 2
    RUNNING = 3
    SUCCESS = 4
    FAILED = 5
    KILLED = 6
    REMOVED = 99


class TaskKind(StrEnum):
    SCHEDULE = "SCHEDULE"
    RERUN = "RERUN"
    TEMP = "TEMP"
    MANUAL = "MANUAL"


class AttemptStatus(StrEnum):
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    KILLED = "KILLED"
    LOST = "LOST"


_S = TaskStatus

#: Task edges: from each status, the statuses a guarded write may move it to.
ALLOWED: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    _S.WAITING: frozenset({_S.READY, _S.SUCCESS, _S.FAILED, _S.KILLED, _S.REMOVED}),
    _S.READY: frozenset({_S.RUNNING, _S.SUCCESS, _S.FAILED, _S.KILLED, _S.REMOVED}),
    _S.RUNNING: frozenset({_S.READY, _S.SUCCESS, _S.FAILED, _S.KILLED}),
    _S.SUCCESS: frozenset(),
    _S.FAILED: frozenset({_S.READY, _S.SUCCESS, _S.REMOVED}),
    _S.KILLED: frozenset({_S.READY, _S.SUCCESS, _S.FAILED, _S.REMOVED}),
    _S.REMOVED: frozenset(),
}

#: Statuses in which nothing more happens by itself (D-3).
FINAL = frozenset({_S.SUCCESS, _S.FAILED, _S.KILLED, _S.REMOVED})
#: Statuses of a task that has not started and may still do so.
UNSTARTED = frozenset({_S.WAITING, _S.READY})
UNFINISHED = UNSTARTED | {_S.RUNNING}
#: What counts as done for whoever depends on a run (D-34).
DONE = frozenset({_S.SUCCESS, _S.REMOVED})

_A = AttemptStatus
_ENDED = frozenset({_A.SUCCESS, _A.FAILED, _A.KILLED, _A.LOST})

ALLOWED_ATTEMPT: Mapping[AttemptStatus, frozenset[AttemptStatus]] = {
    _A.STARTING: _ENDED | {_A.RUNNING},
    _A.RUNNING: _ENDED,
    **dict.fromkeys(_ENDED, frozenset()),
}
LIVE = frozenset({_A.STARTING, _A.RUNNING})


class Finder(StrEnum):
    """Who carries an event on: whoever ended the task, or the pass that is behind them (X-8)."""

    TRIGGER = "trigger"
    BEAT = "beat"


class Reason(StrEnum):
    """Why a task waits or how it ended, where that is not plain from its status (1-domain.md 2)."""

    # why it waits
    NO_EXPECTED_RUN = "NO_EXPECTED_RUN"
    UPSTREAM_NOT_DONE = "UPSTREAM_NOT_DONE"
    UPSTREAM_FAILED = "UPSTREAM_FAILED"
    SERIAL_PREDECESSOR = "SERIAL_PREDECESSOR"
    SERIAL_FAILED = "SERIAL_FAILED"
    SERIAL_OVERLAP = "SERIAL_OVERLAP"
    JOB_PAUSED = "JOB_PAUSED"
    SYSTEM_PAUSED = "SYSTEM_PAUSED"
    APP_LIMIT = "APP_LIMIT"
    APP_DISABLED = "APP_DISABLED"
    NO_WORKER = "NO_WORKER"
    GROUP_DISABLED = "GROUP_DISABLED"
    RETRY_WAIT = "RETRY_WAIT"
    QUEUED = "QUEUED"
    # why there is no task yet
    NOT_A_SLOT = "NOT_A_SLOT"
    IN_A_GAP = "IN_A_GAP"
    NOT_DUE = "NOT_DUE"
    NOT_OPENED = "NOT_OPENED"
    REMOVED_BY_RETENTION = "REMOVED_BY_RETENTION"
    # how it ended
    EXPIRED = "EXPIRED"
    EXIT_CODE = "EXIT_CODE"
    SIGNAL = "SIGNAL"
    TIMEOUT = "TIMEOUT"
    LIMIT = "LIMIT"
    SPAWN_FAILED = "SPAWN_FAILED"
    BAD_PARAMS = "BAD_PARAMS"
    BAD_CONTENT = "BAD_CONTENT"
    TYPE_NOT_ALLOWED = "TYPE_NOT_ALLOWED"
    NO_CLIENT = "NO_CLIENT"
    BACKEND = "BACKEND"
    ROOT_REFUSED = "ROOT_REFUSED"
    GUARD_LOST = "GUARD_LOST"
    REFUSED = "REFUSED"
    BROKEN = "BROKEN"
    KILL = "KILL"
    LOST = "LOST"
    POISON = "POISON"
    KILLED_BY_USER = "KILLED_BY_USER"
    KILL_UNCONFIRMED = "KILL_UNCONFIRMED"
    REMOVED_BY_USER = "REMOVED_BY_USER"
    SKIPPED_BY_USER = "SKIPPED_BY_USER"
    FORCED = "FORCED"
    RESCHEDULED = "RESCHEDULED"
    JOB_DISABLED = "JOB_DISABLED"
    JOB_TRASHED = "JOB_TRASHED"
    SHUTDOWN = "SHUTDOWN"
