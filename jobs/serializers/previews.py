"""``parameters`` of a preview: a submission, or an edit of a job that is there (D-71)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobs.rules.spec import JobSpec
from jobs.serializers.edit import EditJobParams, JobEdit
from jobs.serializers.submit import SubmitJobParams
from sentinel_project.wire.fields import IntegerField, OptionalIdField
from sentinel_project.wire.params import Params

_COUNT = 5
_MAX_COUNT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecPreview(JobSpec):
    """A submission that is only looked at. It has no job yet."""

    job_id: None = None
    count: int = _COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPreview:
    """An edit that is only looked at."""

    edit: JobEdit
    count: int = _COUNT


class PreviewJobParams(SubmitJobParams):
    """``parameters`` of /api/job/preview. With a ``jobId`` they are an edit's."""

    builds = SpecPreview

    jobId = OptionalIdField(source="job_id", required=False, allow_null=True)
    count = IntegerField(1, _MAX_COUNT, required=False)

    @classmethod
    def forms(cls) -> Sequence[type[Params]]:
        return (cls, _PreviewEditParams)

    @classmethod
    def read(cls, data: Mapping[str, object], *, found: Iterable[str] = ()) -> Any:
        if cls is PreviewJobParams and _names_a_job(data.get("jobId")):
            return _PreviewEditParams.read(data, found=found)
        return super().read(data, found=found)


def _names_a_job(job_id: object) -> bool:
    """What a stranger sends need not be hashable, so that not everything is looked for in a set."""
    return isinstance(job_id, int | str) and job_id not in {0, "0"}


class _PreviewEditParams(EditJobParams):
    count = IntegerField(1, _MAX_COUNT, required=False)

    def to_internal_value(self, data: Any) -> Any:
        edit: JobEdit = super().to_internal_value(data)
        changes = dict(edit.changes)
        count = changes.pop("count", _COUNT)
        return EditPreview(edit=replace(edit, changes=changes), count=count)
