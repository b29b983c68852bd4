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
    JobExplainView,
    JobListView,
    JobPlanView,
    JobRelationView,
    JobStatusView,
    JobTasksView,
    JobView,
)
from jobs.views.verbs import (
    FillGapsView,
    GrantListView,
    RunJobView,
    SetGrantsView,
    SkipSlotView,
)

__all__ = [
    "EditJobView",
    "FillGapsView",
    "GrantListView",
    "JobExplainView",
    "JobListView",
    "JobPlanView",
    "JobRelationView",
    "JobStatusView",
    "JobTasksView",
    "JobView",
    "PreviewJobView",
    "RunJobView",
    "SetDependenciesView",
    "SetGrantsView",
    "SetJobStatusView",
    "SetScheduleView",
    "SkipSlotView",
    "SubmitJobView",
]
