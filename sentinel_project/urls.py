"""Every address of the web process."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from sentinel_project import health, metrics
from sentinel_project.wire.pages import DocsView, SchemaView
from sentinel_project.wire.view import NoSuchEndpoint

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("api/", include("jobs.urls")),
    path("api/", include("tasks_app.urls")),
    path("api/", include("logs_app.urls")),
    path("api/schema", SchemaView.as_view()),
    path("api/docs", DocsView.as_view()),
    re_path(r"^api(/|$)", NoSuchEndpoint.as_view()),
]

handler400 = "sentinel_project.wire.envelope.bad_request"
handler404 = "sentinel_project.wire.envelope.not_found"
handler500 = "sentinel_project.wire.envelope.server_error"
