"""The envelope (W-1 to W-3): the value a request is unwrapped to, and the shape of every reply."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse, UnreadablePostError
from django.views import defaults
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from sentinel_project.errors import InvalidParameters, SentinelError, TooManyRequests
from sentinel_project.wire import jsontext

logger = logging.getLogger(__name__)

API_PREFIX = "/api/"
_RETRY_AFTER = {429: "60", 503: "5"}


class ReplyCode(IntEnum):
    """``code`` of a reply: done, the caller can mend it, we broke."""

    OK = 0
    REFUSED = 1
    BROKEN = 9999


class BodyTooLarge(APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Busy(APIException):
    status_code = HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who calls, how that is proved, and what for."""

    user: str
    app_name: str
    token: str
    #: As it came: JSON text, or the object itself in a JSON body.
    parameters: str | dict[str, object]

    def decoded(self) -> dict[str, object]:
        """Return ``parameters`` as an object; what in it cannot be used is the reader's to name."""
        value: object = self.parameters
        if isinstance(value, str):
            value = jsontext.parse(value, name="parameters")
        if not isinstance(value, dict):
            raise InvalidParameters(
                f"parameters must be a JSON object, not {jsontext.shown(value)}"
            )
        return value


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """What an endpoint answers, before it is wrapped; ``T`` is what ``data`` holds."""

    data: T | None = None
    code: ReplyCode = ReplyCode.OK
    msg: str = "success"

    def body(self, *, as_text: bool) -> dict[str, object]:
        """Return the reply with ``data`` in the form the parameters came in (W-3)."""
        data: object = {} if self.data is None else self.data
        wrapped = jsontext.dumps(data) if as_text else data
        return {"code": int(self.code), "msg": self.msg, "data": wrapped}


def wants_text(request: HttpRequest, envelope: Envelope | None) -> bool:
    """Tell whether ``data`` is a string; without an envelope the kind of body decides."""
    if envelope is not None:
        return isinstance(envelope.parameters, str)
    return "json" not in request.META.get("CONTENT_TYPE", "").lower()


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """Answer every exception of a view with an envelope (W-2)."""
    status, reply = _reply_to(error)
    envelope: Envelope | None = getattr(context["view"], "envelope", None)
    body = reply.body(as_text=wants_text(context["request"], envelope))
    seconds = _RETRY_AFTER.get(status)
    headers = {"Retry-After": seconds} if seconds else None
    return Response(body, status=status, headers=headers)


def _reply_to(error: Exception) -> tuple[int, Reply[Any]]:
    match error:
        case TooManyRequests():
            return HTTPStatus.TOO_MANY_REQUESTS, _refusal(str(error))
        case SentinelError():
            return HTTPStatus.OK, _refusal(str(error))
        case APIException():
            return error.status_code, _refusal(str(error.detail))
        case Http404() | PermissionDenied():
            return HTTPStatus.NOT_FOUND, _refusal("no such endpoint")
        case UnreadablePostError():
            return HTTPStatus.OK, _refusal("the body could not be read to its end")
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR, _broken(error)


def _refusal(msg: str) -> Reply[Any]:
    return Reply(code=ReplyCode.REFUSED, msg=msg)


def _broken(error: Exception) -> Reply[Any]:
    """Tell the log everything and the caller only where in the log to look."""
    fault_id = secrets.token_hex(6)
    logger.error("request.broken", exc_info=error, extra={"fault_id": fault_id})
    return Reply(code=ReplyCode.BROKEN, msg=f"system failure, see the server's log for {fault_id}")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler404: below /api/ an envelope, elsewhere Django's own page."""
    if request.path.startswith(API_PREFIX):
        return _outside_views(request, HTTPStatus.NOT_FOUND, _refusal("no such endpoint"))
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler400, for what fails before any view, such as a foreign Host header."""
    if request.path.startswith(API_PREFIX):
        msg = "the request's headers are not acceptable; is the host one of SENTINEL_ALLOWED_HOSTS?"
        return _outside_views(request, HTTPStatus.BAD_REQUEST, _refusal(msg))
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500, for what breaks outside the views; Django has logged it already."""
    if request.path.startswith(API_PREFIX):
        reply: Reply[Any] = Reply(code=ReplyCode.BROKEN, msg="system failure, see the server's log")
        return _outside_views(request, HTTPStatus.INTERNAL_SERVER_ERROR, reply)
    return defaults.server_error(request)


def _outside_views(request: HttpRequest, status: int, reply: Reply[Any]) -> JsonResponse:
    return JsonResponse(reply.body(as_text=wants_text(request, None)), status=status)
