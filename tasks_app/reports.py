"""Ends of attempts, kept in a file until the database has taken them (3-execution.md 3).

The file is written ahead of the report: a worker that dies in between leaves an end that another
process of its host reports, if nobody took the attempt over meanwhile. Whoever is about to report
holds a lock on the file, which the kernel drops with the process.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
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


class Ahead:
    """The file of one end. ``done`` removes it; until then it outlives the process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def done(self) -> None:
        """The database has taken the end, or refused it for good.

        A file that cannot be removed is found again, and says nothing new: the slot goes on.
        """
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            logger.exception("report.not_removed", extra={"path": self._path.name})

    def close(self) -> None:
        os.close(self._descriptor)


def write_ahead(root: Path, attempt: Attempt, ending: transitions.Ending) -> Ahead | None:
    """Keep how ``attempt`` ended below ``root``. None: the disk does not take it, which is logged.

    It outlives the process, not the machine: it is not forced to the disk.
    """
    path = root / _FOLDER / f"{attempt.pk}.json"
    draft = path.with_suffix(".draft")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError:
        logger.exception("report.not_kept", extra={"attempt_id": attempt.pk})
        return None
    ahead = Ahead(path, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, json.dumps(_document(attempt, ending)).encode())
        draft.rename(path)
    except OSError:
        logger.exception("report.not_kept", extra={"attempt_id": attempt.pk})
    return ahead


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
    """Report one end and remove its file; one that is refused for good is set aside and kept."""
    try:
        taken = _settle(text, now)
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
