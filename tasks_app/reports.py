"""Ends of attempts, kept in a file until the database has taken them (3-execution.md 3).

An end is written ahead of its report: a worker that dies in between leaves one that another process
of its host reports, if nobody took the attempt over meanwhile. Each process keeps a few files, as
many as it has slots, writes one end after the other into them, and empties them in between. It
holds a lock on each, which the kernel drops with the process: what is locked is about to be
reported, what is empty is nobody's.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import InterfaceError, OperationalError

from tasks_app import transitions
from tasks_app.models import Attempt
from tasks_app.rules.states import LIVE, AttemptStatus

logger = logging.getLogger(__name__)

_FOLDER = "ended"
_LIVE = [status.value for status in LIVE]


class _Place:
    """A file of this process for one end at a time. Nobody sees it before it is locked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / f"{uuid.uuid4().hex}.json"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        self._descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            draft.rename(self._path)
        except OSError:
            os.close(self._descriptor)
            draft.unlink(missing_ok=True)
            raise

    def is_there(self) -> bool:
        """Tell whether whoever looks into the folder would find it."""
        return os.fstat(self._descriptor).st_nlink > 0

    def write(self, data: bytes) -> None:
        if os.pwrite(self._descriptor, data, 0) != len(data):
            raise OSError(errno.ENOSPC, "the end was cut")

    def empty(self) -> None:
        os.ftruncate(self._descriptor, 0)

    def leave(self) -> None:
        """Unlock it: what is in it is for others to report."""
        os.close(self._descriptor)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
        self.leave()


#: By process, for a forked one shares the locks of its parent's; and by folder.
_free: dict[tuple[int, Path], list[_Place]] = {}


def _taken(folder: Path) -> _Place:
    """Return an empty place that nobody else of this process writes into."""
    free = _places(folder)
    while True:
        try:
            place = free.pop()
        except IndexError:  # perhaps since another thread was faster
            return _Place(folder)
        if place.is_there():
            return place
        place.leave()


def _places(folder: Path) -> list[_Place]:
    return _free.setdefault((os.getpid(), folder), [])


class Ahead:
    """An end that is kept. ``done``: it need not be any more; until then it outlives us."""

    def __init__(self, place: _Place) -> None:
        self._place = place
        self._is_done = False

    def done(self) -> None:
        """The database has taken the end, or refused it for good.

        Where the file cannot be emptied, somebody finds the end and that its attempt is over.
        """
        try:
            self._place.empty()
        except OSError:
            logger.exception("report.not_emptied")
        else:
            self._is_done = True

    def close(self) -> None:
        if self._is_done:
            _places(self._place.folder).append(self._place)
        else:
            self._place.leave()


def write_ahead(root: Path, attempt: Attempt, ending: transitions.Ending) -> Ahead | None:
    """Keep how ``attempt`` ended below ``root``. None: the disk does not take it, which is logged.

    It outlives the process, not the machine: it is not forced to the disk.
    """
    try:
        place = _taken(root / _FOLDER)
        try:
            place.write(json.dumps(_document(attempt, ending)).encode())
        except OSError:
            place.remove()
            raise
    except OSError:
        logger.exception("report.not_kept", extra={"attempt_id": attempt.pk})
        return None
    return Ahead(place)


def report_left(root: Path, *, now: datetime) -> int:
    """Report what processes that died below ``root`` could not; return how many were taken.

    A database that does not answer is raised, and the files stay for the next time. Whatever else
    is wrong with a file holds up no other.
    """
    return sum(_report(path, now) for path in sorted((root / _FOLDER).glob("*.json")))


def _report(path: Path, now: datetime) -> bool:
    try:
        with _unused(path) as text:
            return text is not None and _is_taken(path, text, now)
    except OSError:
        logger.exception("report.not_read", extra={"path": path.name})
        return False


def _is_taken(path: Path, text: str, now: datetime) -> bool:
    """Report one end and remove its file; one that is refused for good is set aside and kept.

    An empty one is left of a process that had nothing to report.
    """
    try:
        taken = bool(text) and _settle(text, now)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        # It would be refused again. The rescuer will take the attempt back.
        aside = path.with_suffix(".refused")
        logger.exception("report.refused", extra={"path": aside.name})
        path.replace(aside)
        return False
    path.unlink(missing_ok=True)
    return taken


def _settle(text: str, now: datetime) -> bool:
    """Report one end, if its attempt is still the one it speaks of and is live."""
    words: dict[str, Any] = json.loads(text)
    identity, ending = words["attempt"], _ending(words["ending"])
    attempt = Attempt.objects.filter(**identity, status__in=_LIVE).select_related("task").first()
    if attempt is None:
        return False
    verb = transitions.hand_back if ending.status == AttemptStatus.LOST else transitions.settle
    taken = bool(verb(attempt, ending, now=now))
    logger.warning("report.late", extra={"task_id": attempt.task_id, "attempt": attempt.number})
    return taken


def _ending(words: dict[str, Any]) -> transitions.Ending:
    return transitions.Ending(**{**words, "status": AttemptStatus(words["status"])})


def _document(attempt: Attempt, ending: transitions.Ending) -> dict[str, Any]:
    return {
        # Ids may be given again in a database that was made anew.
        "attempt": {
            "pk": attempt.pk,
            "task_id": attempt.task_id,
            "fence": attempt.fence,
            "claimed_at": attempt.claimed_at.isoformat(),
        },
        "ending": {
            "status": ending.status.value,
            "exit_code": ending.exit_code,
            "reason": ending.reason,
            "text": ending.text,
            "is_final": ending.is_final,
        },
    }


@contextmanager
def _unused(path: Path) -> Iterator[str | None]:
    """Yield the text of a file that no living process is about to report; None: it is in use."""
    try:
        file = path.open("r+", errors="replace")
    except FileNotFoundError:
        yield None
        return
    with file:
        text = None
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            text = file.read()
        yield text
