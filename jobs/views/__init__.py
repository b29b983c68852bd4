"""What answers below /api/job/: definitions, queries, verbs."""

from __future__ import annotations

from jobs.views.definitions import (
    EditJobView,
    PreviewJobView,
    SetDependenciesView,
    SetJobStatusView,
    SetScheduleView,
    SubmitJobView,
)
from jobs.views.queries import (
    JobListView,
    JobPlanView,
    JobRelationView,
    JobStatusView,
    JobTasksView,
    JobView,
)
from jobs.views.verbs import FillGapsView, RunJobView, SkipSlotView

__all__ = [
    "EditJobView",
    "FillGapsView",
    "JobListView",
    "JobPlanView",
    "JobRelationView",
    "JobStatusView",
    "JobTasksView",
    "JobView",
    "PreviewJobView",
    "RunJobView",
    "SetDependenciesView",
    "SetJobStatusView",
    "SetScheduleView",
    "SkipSlotView",
    "SubmitJobView",
]
