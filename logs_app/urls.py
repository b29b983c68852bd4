"""Addresses below /api/ that read what attempts printed."""

from __future__ import annotations

from django.urls import path

from logs_app import views

urlpatterns = [
    path("log/readResult", views.ReadResultView.as_view()),
    path("log/tail", views.TailView.as_view()),
    path("log/readExecuteLog", views.ReadLogView.as_view()),
    path("task/query/result", views.ResultView.as_view()),
    path("task/query/log", views.LogView.as_view()),
]
