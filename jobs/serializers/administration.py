"""The wire's words for apps, worker groups, labels and workers (2-wire.md 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jobs.app_services import LIMITS, MAX_NAME, MAX_PRIORITY
from jobs.rules.enums import AppKind, TokenForms
from jobs.serializers.app_fields import AllowedTypesField, AppNameField, SwitchField
from sentinel_project.wire.fields import (
    FlagField,
    IdField,
    IntegerField,
    ListField,
    TextField,
    WordField,
)
from sentinel_project.wire.params import Given, Params

_MAX_COUNT = 2**31 - 1


class _LimitParams(Params):
    """What an app may do."""

    owner = TextField(high=128, required=False)
    tokenForms = WordField(TokenForms, source="token_forms", required=False)
    maxConcurrency = IntegerField(0, _MAX_COUNT, source="max_concurrency", required=False)
    maxPriority = IntegerField(0, MAX_PRIORITY, source="max_priority", required=False)
    workerGroupIds = ListField(
        child=IdField(), source="allowed_groups", required=False, allow_null=True
    )
    jobTypes = AllowedTypesField(source="allowed_types", required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApp:
    name: str
    kind: AppKind = AppKind.NORMAL
    owner: str = ""
    token_forms: TokenForms = TokenForms.BOTH
    max_concurrency: int = 0
    max_priority: int = MAX_PRIORITY
    allowed_groups: tuple[int, ...] = ()
    allowed_types: Mapping[str, list[int]] = field(default_factory=dict)

    @property
    def limits(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in LIMITS}


class AddAppParams(_LimitParams):
    """``parameters`` of /api/app/add."""

    builds = NewApp

    appName = AppNameField()
    appType = WordField(AppKind, source="kind", required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppEdit:
    name: str
    changes: Mapping[str, Any]


class EditAppParams(_LimitParams):
    """``parameters`` of /api/app/edit: what is absent stays."""

    builds: ClassVar[type[Any]] = Given

    appName = AppNameField()
    status = SwitchField(required=False)

    def to_internal_value(self, data: Any) -> Any:
        given: dict[str, Any] = super().to_internal_value(data)
        return AppEdit(name=given.pop("name"), changes=given)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRef:
    name: str


class AppRefParams(Params):
    """``parameters`` of /api/app/delete."""

    builds = AppRef

    appName = AppNameField()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTurn:
    name: str
    drops_old: bool = False


class RotateKeyParams(Params):
    """``parameters`` of /api/app/rotateKey."""

    builds = KeyTurn

    appName = AppNameField()
    dropOld = FlagField(source="drops_old", required=False)


# -- places ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPlace:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceEdit:
    place_id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRef:
    place_id: int


class AddWorkerGroupParams(Params):
    """``parameters`` of /api/workerGroup/add."""

    builds = NewPlace

    workerGroupName = TextField(low=1, high=64, source="name")


class EditWorkerGroupParams(AddWorkerGroupParams):
    """``parameters`` of /api/workerGroup/edit."""

    builds: ClassVar[type[Any]] = PlaceEdit

    workerGroupId = IdField(source="place_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSwitch:
    place_id: int
    is_enabled: bool


class SwitchWorkerGroupParams(Params):
    """``parameters`` of /api/workerGroup/status/set."""

    builds = GroupSwitch

    workerGroupId = IdField(source="place_id")
    status = SwitchField()


class AddDepartmentParams(Params):
    """``parameters`` of /api/department/add."""

    builds = NewPlace

    departmentName = TextField(low=1, high=256, source="name")


class EditDepartmentParams(AddDepartmentParams):
    """``parameters`` of /api/department/edit."""

    builds: ClassVar[type[Any]] = PlaceEdit

    departmentId = IdField(source="place_id")


class DepartmentRefParams(Params):
    """``parameters`` of /api/department/delete."""

    builds = PlaceRef

    departmentId = IdField(source="place_id")


class AddBizGroupParams(Params):
    """``parameters`` of /api/bizGroup/add."""

    builds = NewPlace

    bizGroupName = TextField(low=1, high=256, source="name")


class EditBizGroupParams(AddBizGroupParams):
    """``parameters`` of /api/bizGroup/edit."""

    builds: ClassVar[type[Any]] = PlaceEdit

    bizGroupId = IdField(source="place_id")


class BizGroupRefParams(Params):
    """``parameters`` of /api/bizGroup/delete."""

    builds = PlaceRef

    bizGroupId = IdField(source="place_id")


# -- lists -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A part of the name that is looked for, and where the last page ended."""

    name: str = ""
    limit: int = 100
    cursor: str = ""


class ListingParams(Params):
    """``parameters`` of a list; each knows how its name is called."""

    builds: ClassVar[type[Any]] = Listing

    limit = IntegerField(1, 1000, required=False)
    cursor = TextField(high=64, required=False, allow_null=True)


class AppListParams(ListingParams):
    appName = TextField(high=256, source="name", required=False)


class WorkerGroupListParams(ListingParams):
    workerGroupName = TextField(high=256, source="name", required=False)


class DepartmentListParams(ListingParams):
    departmentName = TextField(high=256, source="name", required=False)


class BizGroupListParams(ListingParams):
    bizGroupName = TextField(high=256, source="name", required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerListing(Listing):
    group_id: int | None = None
    is_live: bool | None = None


class WorkerListParams(ListingParams):
    builds = WorkerListing

    workerName = TextField(high=256, source="name", required=False)
    workerGroupId = IdField(source="group_id", required=False)
    isAlive = FlagField(source="is_live", required=False)


# -- grants ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class JobGrants:
    job_id: int
    app_names: tuple[str, ...]


class SetGrantsParams(Params):
    """``parameters`` of /api/job/grant/set."""

    builds = JobGrants

    jobId = IdField(source="job_id")
    appNames = ListField(child=TextField(low=1, high=MAX_NAME), source="app_names")
