"""Addresses below /api/ that are about jobs."""

from __future__ import annotations

from django.urls import path

from jobs import views

urlpatterns = [
    path("job/submit", views.SubmitJobView.as_view()),
    path("job/edit", views.EditJobView.as_view()),
    path("job/dependency/set", views.SetDependenciesView.as_view()),
    path("job/scheduleExp/set", views.SetScheduleView.as_view()),
    path("job/status/set", views.SetJobStatusView.as_view()),
    path("job/preview", views.PreviewJobView.as_view()),
    path("job/query", views.JobView.as_view()),
    path("job/query/taskIds", views.JobTasksView.as_view()),
    path("job/query/status", views.JobStatusView.as_view()),
    path("job/list", views.JobListView.as_view()),
    path("job/queryRelation", views.JobRelationView.as_view()),
    path("job/plan", views.JobPlanView.as_view()),
    path("job/run", views.RunJobView.as_view()),
    path("job/skip", views.SkipSlotView.as_view()),
    path("job/fill", views.FillGapsView.as_view()),
]
