"""Addresses below /api/ that are about tasks."""

from __future__ import annotations

from django.urls import path

from tasks_app import views

urlpatterns = [
    path("task/query/status", views.TaskStatusView.as_view()),
    path("task/query", views.TaskView.as_view()),
    path("task/kill", views.KillView.as_view()),
    path("task/retry", views.RetryView.as_view()),
]
