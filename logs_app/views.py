"""/api/log/… and the whole outputs below /api/task/: read what attempts printed (W-20)."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.http import StreamingHttpResponse
from rest_framework.request import Request

from jobs.endpoint import Call, Endpoint
from jobs.models import App
from jobs.operators import operator
from logs_app import serializers, store
from logs_app.models import StreamKind
from logs_app.serializers import (
    Following,
    FollowingParams,
    LogData,
    PieceData,
    Printed,
    PrintedParams,
    Reading,
    ReadingParams,
    ResultData,
)
from logs_app.store import Slice
from logs_app.tail import PIECE, Places, Tail
from sentinel_project.errors import InvalidParameters
from sentinel_project.wire import body
from sentinel_project.wire.envelope import Busy, Envelope
from sentinel_project.wire.openapi import TailSchema
from sentinel_project.wire.view import EnvelopeView
from tasks_app import selectors


class ReadView(Endpoint):
    """/api/log/read…: a piece of a stream, and where the next one starts."""

    params = ReadingParams
    kind: ClassVar[StreamKind]

    def handle(self, call: Call, params: Reading) -> PieceData:
        task = selectors.bare_task_of(call.app, params.task_id)
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


class TailView(EnvelopeView):
    """/api/log/tail: follow a stream while it grows (X-32).

    For apps with a token, and for people who are logged in to the admin site and may see attempts.
    """

    http_method_names = ["get"]
    schema = TailSchema()
    params = FollowingParams

    def unwrap(self, request: Request) -> Envelope | None:
        return None if _is_watcher(request) else body.flat_envelope_of(request)

    def get(self, request: Request) -> StreamingHttpResponse:
        asked: Following = self.params.read(self._asked(request))
        app = request.auth if isinstance(request.auth, App) else operator()
        offset = _resumed_at(request, asked.offset)
        followed = _Followed(app, asked)
        followed.read(offset)
        if not PLACES.take():
            raise Busy(f"{settings.SENTINEL_MAX_TAILS} already follow here; {_POLL_INSTEAD}")
        response = StreamingHttpResponse(
            Tail(followed.read, offset=offset, places=PLACES), content_type="text/event-stream"
        )
        response["Cache-Control"] = "no-store"
        response["X-Accel-Buffering"] = "no"
        return response

    def _asked(self, request: Request) -> dict[str, object]:
        return body.query_of(request) if self.envelope is None else self.envelope.decoded()


PLACES = Places(settings.SENTINEL_MAX_TAILS)
_POLL_INSTEAD = "try again in a while, or poll /api/log/readExecuteLog or /api/log/readResult"


def _is_watcher(request: Request) -> bool:
    """Tell whether somebody looks from the admin site. A call that brings a token is an app's."""
    user = request._request.user
    is_signed = "appToken" in body.query_of(request)
    return not is_signed and user.is_active and user.is_staff and user.has_perm(_MAY_SEE)


_LONGEST_ID = 19
_MAY_SEE = "tasks_app.view_attempt"


def _resumed_at(request: Request, offset: int) -> int:
    """Return where to go on: what a client saw last comes before what it first asked for."""
    seen = request.headers.get("Last-Event-ID", "")
    if not seen:
        return offset
    if not (seen.isascii() and seen.isdigit() and len(seen) < _LONGEST_ID):
        raise InvalidParameters("Last-Event-ID must be the id of an event of this stream")
    return int(seen)


class _Followed:
    """The stream of one attempt, which may not have begun yet; a retry's is another one."""

    def __init__(self, app: App, asked: Following) -> None:
        task = selectors.task_of(app, asked.task_id)
        self._app, self._task_id, self._kind = app, task.pk, asked.stream.kind
        self._number = asked.attempt_number or task.attempt_count or 1
        self._attempt_id: int | None = None

    def read(self, offset: int) -> Slice:
        if self._attempt_id is None:
            task = selectors.task_of(self._app, self._task_id)
            attempt = selectors.attempt_of(task, self._number)
            if attempt is None:
                return Slice("", offset, is_end=False)
            self._attempt_id = attempt.pk
        return store.read(self._attempt_id, self._kind, offset=offset, size=PIECE)


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
    task = selectors.bare_task_of(call.app, params.task_id)
    number = params.attempt_number or task.attempt_count or 1
    attempt = selectors.attempt_of(task, number)
    read = store.read_all(attempt.pk, kind) if attempt else Slice("", 0, is_end=False)
    return task.pk, number, read
