"""/api/log/… and the whole outputs below /api/task/: read what attempts printed (W-20)."""

from __future__ import annotations

from typing import ClassVar

from jobs.endpoint import Call, Endpoint
from logs_app import serializers, store
from logs_app.models import StreamKind
from logs_app.serializers import Printed, PrintedParams, Reading, ReadingParams
from logs_app.store import Slice
from tasks_app import selectors


class ReadView(Endpoint):
    """/api/log/read…: a piece of a stream, and where the next one starts."""

    params = ReadingParams
    kind: ClassVar[StreamKind]

    def handle(self, call: Call, params: Reading) -> object:
        task = selectors.task_of(call.app, params.task_id)
        attempt = selectors.attempt_of(task, params.attempt_number)
        if attempt is None:
            return serializers.piece(Slice("", params.offset, is_end=False))
        read = store.read(attempt.pk, self.kind, offset=params.offset, size=params.size)
        return serializers.piece(read)


class ReadResultView(ReadView):
    """/api/log/readResult."""

    kind = StreamKind.RESULT


class ReadLogView(ReadView):
    """/api/log/readExecuteLog."""

    kind = StreamKind.LOG


class PrintedView(Endpoint):
    """/api/task/query/…: a whole stream, by default the last attempt's."""

    params = PrintedParams
    kind: ClassVar[StreamKind]
    name: ClassVar[str]

    def handle(self, call: Call, params: Printed) -> object:
        task = selectors.task_of(call.app, params.task_id)
        number = params.attempt_number or task.attempt_count or 1
        attempt = selectors.attempt_of(task, number)
        nothing = Slice("", 0, is_end=False)
        read = store.read_all(attempt.pk, self.kind) if attempt else nothing
        return serializers.printed(task.pk, number, self.name, read)


class ResultView(PrintedView):
    """/api/task/query/result."""

    kind = StreamKind.RESULT
    name = "result"


class LogView(PrintedView):
    """/api/task/query/log."""

    kind = StreamKind.LOG
    name = "log"
