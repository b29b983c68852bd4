"""Addresses below /api/ that are about jobs."""

from __future__ import annotations

from django.urls import path

from jobs import views

urlpatterns = [
    path("job/submit", views.SubmitJobView.as_view()),
    path("job/query", views.JobView.as_view()),
    path("job/query/taskIds", views.JobTasksView.as_view()),
    path("job/query/status", views.JobStatusView.as_view()),
]
