"""Waiting for a task, and following what it prints, by asking again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from sentinel_project.client.answers import Slice, TaskStanding
from sentinel_project.client.calls import Calls
from sentinel_project.client.errors import GaveUp
from sentinel_project.clock import monotonic
from tasks_app.rules.states import FINAL, TaskStatus

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_PIECE = 256 * 1024


class StreamName(StrEnum):
    """A stream of an attempt, by the endpoint that reads it."""

    RESULT = "log/readResult"
    LOG = "log/readExecuteLog"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of an attempt's stream."""

    attempt: int
    text: str


class _Pauses:
    """Short pauses while something happens, longer ones while nothing does."""

    def __init__(self) -> None:
        self.next = _FIRST_PAUSE

    def rest(self) -> None:
        time.sleep(self.next)
        self.next = min(self.next * 1.5, _LONGEST_PAUSE)


def read(calls: Calls, stream: StreamName, task_id: int, attempt: int, offset: int) -> Slice:
    found = calls.read(stream, taskId=task_id, attemptId=attempt, offset=offset, size=_PIECE)
    return cast(Slice, found)


def wait(
    calls: Calls, task_id: int, timeout: float | None, seen: Callable[[TaskStanding], None]
) -> TaskStanding:
    """Ask until the task has ended; tell ``seen`` at first and after each change."""
    deadline = None if timeout is None else monotonic() + timeout
    pauses = _Pauses()
    last = None
    while True:
        found = standing(calls, task_id)
        if found != last:
            seen(found)
            last, pauses = found, _Pauses()
        if is_final(found):
            return found
        if deadline is not None and monotonic() >= deadline:
            status = TaskStatus(found["status"]).name
            raise GaveUp(f"task {task_id} is still {status} after {timeout:.3g} s")
        pauses.rest()


def standing(calls: Calls, task_id: int) -> TaskStanding:
    return cast(TaskStanding, calls.read("task/query/status", taskId=task_id))


def is_final(found: TaskStanding) -> bool:
    return found["status"] in FINAL


def follow(calls: Calls, task_id: int, stream: StreamName, attempt: int) -> Iterator[Piece]:
    """Yield the stream of ``attempt`` and of those after it, until the task has ended.

    The standing is read before the stream: what an ended task printed is all there.
    """
    pauses, offset = _Pauses(), 0
    while True:
        now = standing(calls, task_id)
        if now["attemptId"] >= attempt:
            piece = read(calls, stream, task_id, attempt, offset)
            offset = piece["offset"]
            if piece["log"]:
                yield Piece(attempt, piece["log"])
                pauses = _Pauses()
                continue
            if piece["isEnd"] and now["attemptId"] > attempt:
                attempt, offset = attempt + 1, 0
                continue
            is_over = piece["isEnd"] and is_final(now)
        else:
            is_over = is_final(now)
        if is_over:
            return
        pauses.rest()
