"""The web process that ``api.py`` measures: ours, and beside it the least an endpoint can do."""

from __future__ import annotations

from django.conf import settings
from django.urls import include, path

from sentinel_project.wsgi import application as application

# Below the application, which sets Django up.
from rest_framework.request import Request  # isort: skip
from rest_framework.response import Response  # isort: skip
from rest_framework.views import APIView  # isort: skip

from tasks_app.models import Task  # isort: skip

settings.ROOT_URLCONF = "floor"


class FloorView(APIView):
    """POST /floor: one query, one answer, and nobody asks who calls."""

    authentication_classes = ()

    def post(self, request: Request) -> Response:
        asked: dict[str, int] = request.data  # type: ignore[assignment]
        task = Task.objects.get(pk=asked["taskId"])
        return Response({"taskId": task.pk, "status": task.status})


urlpatterns = [path("floor", FloorView.as_view()), path("", include("sentinel_project.urls"))]
