"""Addresses below /api/ that are about tasks and the whole system."""

from __future__ import annotations

from django.urls import path

from tasks_app import views

urlpatterns = [
    path("task/query/status", views.TaskStatusView.as_view()),
    path("task/query", views.TaskView.as_view()),
    path("task/queryRelation", views.TaskRelationView.as_view()),
    path("task/explain", views.ExplainView.as_view()),
    path("task/timeline", views.TimelineView.as_view()),
    path("task/kill", views.KillView.as_view()),
    path("task/retry", views.RetryView.as_view()),
    path("task/remove", views.RemoveView.as_view()),
    path("task/rerun", views.RerunView.as_view()),
    path("task/modify/status", views.ForceStatusView.as_view()),
    path("system/status/get", views.SystemStatusView.as_view()),
    path("system/status/set", views.SetSystemStatusView.as_view()),
]
