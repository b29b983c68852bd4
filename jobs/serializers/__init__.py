"""The wire's words for jobs, and the values they build (2-wire.md 3). Wire names end here."""

from __future__ import annotations

from jobs.serializers import data
from jobs.serializers.answers import (
    JobAnswer,
    cycle,
    listed,
    outlook,
    plan,
    related,
    schedule_change,
    status_answers,
)
from jobs.serializers.edit import (
    EditJobParams,
    JobEdit,
    SetDependenciesParams,
    SetScheduleParams,
)
from jobs.serializers.previews import EditPreview, PreviewJobParams, SpecPreview
from jobs.serializers.queries import (
    JobList,
    JobListParams,
    JobPlan,
    JobPlanParams,
    JobRef,
    JobRefParams,
    JobRelation,
    JobRelationParams,
    JobRun,
    JobRunParams,
    JobTasks,
    JobTasksParams,
    RelationType,
)
from jobs.serializers.submit import SubmitJobParams, definition
from jobs.serializers.verbs import (
    FillGaps,
    FillGapsParams,
    MomentField,
    RunJob,
    RunJobParams,
    SetStatus,
    SetStatusParams,
    SkipSlot,
    SkipSlotParams,
)

__all__ = [
    "EditJobParams",
    "EditPreview",
    "FillGaps",
    "FillGapsParams",
    "JobAnswer",
    "JobEdit",
    "JobList",
    "JobListParams",
    "JobPlan",
    "JobPlanParams",
    "JobRef",
    "JobRefParams",
    "JobRelation",
    "JobRelationParams",
    "JobRun",
    "JobRunParams",
    "JobTasks",
    "JobTasksParams",
    "MomentField",
    "PreviewJobParams",
    "RelationType",
    "RunJob",
    "RunJobParams",
    "SetDependenciesParams",
    "SetScheduleParams",
    "SetStatus",
    "SetStatusParams",
    "SkipSlot",
    "SkipSlotParams",
    "SpecPreview",
    "SubmitJobParams",
    "cycle",
    "data",
    "definition",
    "listed",
    "outlook",
    "plan",
    "related",
    "schedule_change",
    "status_answers",
]
