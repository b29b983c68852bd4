"""The wire's words for what attempts printed (2-wire.md 4). Wire names end here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypedDict

from logs_app.models import StreamKind
from logs_app.store import Slice
from sentinel_project.wire.fields import MAX_ID, IdField, IntegerField, WordField
from sentinel_project.wire.params import Params
from sentinel_project.wire.schemas import Id

_MAX_NUMBER = 2**31 - 1
_MAX_SIZE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """From which byte of an attempt's stream how many characters are asked for."""

    task_id: int
    attempt_number: int = 1
    offset: int = 0
    size: int = 10_000


class ReadingParams(Params):
    """``parameters`` of /api/log/readResult and readExecuteLog."""

    builds = Reading

    taskId = IdField(source="task_id")
    attemptId = IntegerField(1, _MAX_NUMBER, source="attempt_number", required=False)
    offset = IntegerField(0, MAX_ID, required=False)
    size = IntegerField(1, _MAX_SIZE, required=False)


class StreamName(StrEnum):
    RESULT = "result"
    LOG = "log"

    @property
    def kind(self) -> StreamKind:
        return StreamKind[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """Which stream is followed, and from which byte; attempt None: the present one."""

    task_id: int
    attempt_number: int | None = None
    stream: StreamName = StreamName.LOG
    offset: int = 0


class FollowingParams(Params):
    """``parameters`` of /api/log/tail."""

    builds = Following

    taskId = IdField(source="task_id")
    attemptId = IntegerField(1, _MAX_NUMBER, source="attempt_number", required=False)
    stream = WordField(StreamName, required=False)
    offset = IntegerField(0, MAX_ID, required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """Which attempt's whole output is asked for; None: the last one's."""

    task_id: int
    attempt_number: int | None = None


class PrintedParams(Params):
    """``parameters`` of /api/task/query/result and log."""

    builds = Printed

    taskId = IdField(source="task_id")
    attemptId = IntegerField(1, _MAX_NUMBER, source="attempt_number", required=False)


class PieceData(TypedDict):
    log: str
    offset: Annotated[int, "the byte at which the next read starts"]
    isEnd: bool


class ResultData(TypedDict):
    taskId: Id
    attemptId: Annotated[int, "its number within the task"]
    result: str
    isEnd: bool


class LogData(TypedDict):
    taskId: Id
    attemptId: Annotated[int, "its number within the task"]
    log: str
    isEnd: bool


def piece(read: Slice) -> PieceData:
    return {"log": read.text, "offset": read.offset, "isEnd": read.is_end}


def result(task_id: int, number: int, read: Slice) -> ResultData:
    return {"taskId": task_id, "attemptId": number, "result": read.text, "isEnd": read.is_end}


def log(task_id: int, number: int, read: Slice) -> LogData:
    return {"taskId": task_id, "attemptId": number, "log": read.text, "isEnd": read.is_end}
