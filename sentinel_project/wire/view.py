"""The base of every API view: unwraps the envelope, authenticates, wraps the answer.

Apart from ``envelope`` because Django REST framework resolves authentication while it defines
``APIView``, and authentication needs the envelope.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404, HttpResponseBase
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from sentinel_project.wire import body, envelope
from sentinel_project.wire.envelope import Envelope, Reply
from sentinel_project.wire.openapi import EnvelopeSchema
from sentinel_project.wire.params import Params


class AlwaysJson(BaseContentNegotiation):
    """The reply is JSON whatever the caller says it accepts: a refusal must reach it too."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class EnvelopeView(APIView):
    """One endpoint. ``answer`` gets the decoded parameters of an authenticated call."""

    content_negotiation_class = AlwaysJson
    http_method_names = ["post"]
    schema = EnvelopeSchema()

    params: ClassVar[type[Params]]
    envelope: Envelope | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Method first, then the envelope, then who it is."""
        if (request.method or "").lower() not in self.http_method_names:
            raise MethodNotAllowed(request.method or "")
        self.envelope = self.unwrap(request)
        super().initial(request, *args, **kwargs)

    def unwrap(self, request: Request) -> Envelope | None:
        return body.envelope_of(request)

    def post(self, request: Request) -> Response:
        return self._respond(request)

    def get(self, request: Request) -> HttpResponseBase:
        return self._respond(request)

    def answer(self, request: Request, unwrapped: Envelope) -> Reply[Any]:
        raise NotImplementedError

    def _respond(self, request: Request) -> Response:
        assert self.envelope is not None, "initial() unwraps it"
        reply = self.answer(request, self.envelope)
        as_text = envelope.wants_text(request, self.envelope)
        return Response(reply.body(as_text=as_text))


class NoSuchEndpoint(APIView):
    """Answers whatever below /api/ nothing else does, also where Django would show its 404 page."""

    content_negotiation_class = AlwaysJson
    authentication_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404
