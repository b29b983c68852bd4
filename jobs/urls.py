"""Addresses below /api/ that are about jobs, and about places: apps, groups, labels, workers."""

from __future__ import annotations

from django.urls import path

from jobs import views
from jobs.views import administration, assets

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
    path("job/explain", views.JobExplainView.as_view()),
    path("job/plan", views.JobPlanView.as_view()),
    path("job/run", views.RunJobView.as_view()),
    path("job/skip", views.SkipSlotView.as_view()),
    path("job/fill", views.FillGapsView.as_view()),
    path("job/grant/set", views.SetGrantsView.as_view()),
    path("job/grant/list", views.GrantListView.as_view()),
    path("script/add", assets.AddScriptView.as_view()),
    path("script/edit", assets.EditScriptView.as_view()),
    path("script/query", assets.ScriptView.as_view()),
    path("script/list", assets.ScriptListView.as_view()),
    path("artifact/add", assets.AddArtifactView.as_view()),
    path("artifact/list", assets.ArtifactListView.as_view()),
    path("app/add", administration.AddAppView.as_view()),
    path("app/edit", administration.EditAppView.as_view()),
    path("app/delete", administration.DeleteAppView.as_view()),
    path("app/list", administration.AppListView.as_view()),
    path("app/rotateKey", administration.RotateKeyView.as_view()),
    path("workerGroup/add", administration.AddWorkerGroupView.as_view()),
    path("workerGroup/edit", administration.EditWorkerGroupView.as_view()),
    path("workerGroup/status/set", administration.SwitchWorkerGroupView.as_view()),
    path("workerGroup/list", administration.WorkerGroupListView.as_view()),
    path("worker/list", administration.WorkerListView.as_view()),
    *(path(name, view.as_view()) for name, view in administration.LABEL_VIEWS.items()),
]
