"""/api/log/… and the whole outputs below /api/task/: read what attempts printed (W-20)."""

from __future__ import annotations

from typing import ClassVar

from jobs.endpoint import Call, Endpoint
from logs_app import serializers, store
from logs_app.models import StreamKind
from logs_app.serializers import (
    LogData,
    PieceData,
    Printed,
    PrintedParams,
    Reading,
    ReadingParams,
    ResultData,
)
from logs_app.store import Slice
from tasks_app import selectors


class ReadView(Endpoint):
    """/api/log/read…: a piece of a stream, and where the next one starts."""

    params = ReadingParams
    kind: ClassVar[StreamKind]

    def handle(self, call: Call, params: Reading) -> PieceData:
        task = selectors.task_of(call.app, params.task_id)
        attempt = selectors.attempt_of(task, params.attempt_number)
        if attempt is None:
            return serializers.piece(Slice("", params.offset, is_end=False))
        read = store.read(attempt.pk, self.kind, offset=params.offset, size=params.size)
        return serializers.piece(read)


class ReadResultView(ReadView):
    """/api/log/readResult: a piece of stdout, and where the next one starts."""

    kind = StreamKind.RESULT


class ReadLogView(ReadView):
    """/api/log/readExecuteLog: a piece of stderr and of the system's own lines."""

    kind = StreamKind.LOG


class ResultView(Endpoint):
    """/api/task/query/result: all that an attempt wrote to stdout, by default the last one."""

    params = PrintedParams

    def handle(self, call: Call, params: Printed) -> ResultData:
        return serializers.result(*_printed(call, params, StreamKind.RESULT))


class LogView(Endpoint):
    """/api/task/query/log: stderr and the system's own lines, by default the last attempt's."""

    params = PrintedParams

    def handle(self, call: Call, params: Printed) -> LogData:
        return serializers.log(*_printed(call, params, StreamKind.LOG))


def _printed(call: Call, params: Printed, kind: StreamKind) -> tuple[int, int, Slice]:
    task = selectors.task_of(call.app, params.task_id)
    number = params.attempt_number or task.attempt_count or 1
    attempt = selectors.attempt_of(task, number)
    read = store.read_all(attempt.pk, kind) if attempt else Slice("", 0, is_end=False)
    return task.pk, number, read
