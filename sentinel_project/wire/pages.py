"""/api/schema and /api/docs: the API's documentation, from this server alone."""

from __future__ import annotations

import json
import threading
from functools import cache

from django.http import HttpResponse
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from sentinel_project.wire import openapi
from sentinel_project.wire.view import AlwaysJson

_TYPE = "application/json"
_MAKING = threading.Lock()


class SchemaView(APIView):
    """GET /api/schema: the OpenAPI document. It is the same for all, and made once."""

    content_negotiation_class = AlwaysJson
    authentication_classes = ()
    schema = None

    def get(self, request: Request) -> HttpResponse:
        # Two threads that make it at once disturb each other in the generator's registry.
        with _MAKING:
            document = _document()
        return HttpResponse(document, content_type=_TYPE)


class DocsView(SpectacularSwaggerView):
    """GET /api/docs: Swagger UI, with its files from our own static ones."""

    url = "/api/schema"
    schema = None

    def handle_exception(self, exc: Exception) -> Response:
        """Refuse as everything below /api/ does: with an envelope, not with a page."""
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return super().handle_exception(exc)


@cache
def _document() -> bytes:
    return json.dumps(openapi.document(), ensure_ascii=False).encode()
