"""Addresses below /api/ that are about tasks and the whole system."""

from __future__ import annotations

from django.urls import path

from tasks_app import alarm_views, views

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
    path("alarm/add", alarm_views.AddAlarmView.as_view()),
    path("alarm/edit", alarm_views.EditAlarmView.as_view()),
    path("alarm/delete", alarm_views.DeleteAlarmView.as_view()),
    path("alarm/query", alarm_views.AlarmListView.as_view()),
    path("alarm/delivery/list", alarm_views.DeliveryListView.as_view()),
    path("alarm/delivery/redeliver", alarm_views.RedeliverView.as_view()),
    path("system/status/get", views.SystemStatusView.as_view()),
    path("system/status/set", views.SetSystemStatusView.as_view()),
]
