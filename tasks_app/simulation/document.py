"""The rehearsal document: read, checked, and turned into values (5-simulation.md).

Every problem names its place, as ``jobs[2].schedule[0].expression: …``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from jobs.rules.enums import CommonStrategy, ExpressionKind, JobStatus, MisfirePolicy
from jobs.rules.offsets import parse_offset
from jobs.rules.schedule import parse_live
from jobs.rules.spec import DependencyEdit, JobSpec, ScheduleEdit
from sentinel_project.errors import InvalidParameters
from tasks_app.simulation.fields import BadDocument, Fields, duration, instant, listed, mapping

OUTCOMES = {"success", "fail", "hang", "lost"}
ACTIONS = {
    "retry": {"task"},
    "kill": {"task"},
    "remove": {"task"},
    "force": {"task", "status"},
    "rerun": {"jobs", "from", "to"},
    "run": {"job"},
    "skip": {"job", "due"},
    "fill": {"job", "from", "to"},
    "status": {"job", "status"},
    "set_schedule": {"job", "schedule"},
    "set_dependencies": {"job", "dependencies"},
    "submit": {"job"},
    "outage": {"to"},
    "system": {"status"},
    "explain": {"task"},
}


@dataclass(frozen=True, slots=True)
class Link:
    """A dependency by label, before the labels have ids."""

    upstream: str
    strategy: CommonStrategy
    offset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A job of the document: ``spec`` without its dependencies, which ``links`` names."""

    label: str
    created: datetime
    spec: JobSpec
    links: tuple[Link, ...]
    duration: timedelta
    place: str

    def spec_with(self, ids: Mapping[str, int]) -> JobSpec:
        """Return the submission, its upstreams' labels turned into ids."""
        values = {name: getattr(self.spec, name) for name in JobSpec.__dataclass_fields__}
        return JobSpec(**values | {"dependencies": edits_of(self.links, ids)})


@dataclass(frozen=True, slots=True)
class Action:
    """Something that happens at an instant; ``values`` are as written."""

    at: datetime
    do: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    zone: ZoneInfo
    start: datetime
    until: datetime
    slots: int | None
    jobs: tuple[Definition, ...]
    outcomes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    actions: tuple[Action, ...] = ()


def read(raw: object) -> Document:
    """Check a parsed document and return its values, or raise BadDocument."""
    names = {"zone", "start", "until", "slots", "jobs", "outcomes", "actions"}
    fields = Fields(mapping(raw, "document"), "", names)
    zone = fields.zone("zone", ZoneInfo("Asia/Shanghai"))
    start = fields.required_instant("start", zone)
    until = fields.required_instant("until", zone)
    jobs = tuple(
        definition(job, f"jobs[{i}]", zone=zone, created=start)
        for i, job in enumerate(listed(fields.raw.get("jobs", []), "jobs"))
    )
    _refuse_repeated(jobs)
    return Document(
        zone=zone,
        start=start,
        until=until,
        slots=fields.whole("slots", None, least=1),
        jobs=jobs,
        outcomes=_outcomes(fields.raw.get("outcomes", {})),
        actions=tuple(_actions(fields.raw.get("actions", []), zone)),
    )


def definition(raw: object, place: str, *, zone: ZoneInfo, created: datetime) -> Definition:
    """Read one job; ``created`` is when it is submitted unless it says so itself."""
    fields = Fields(mapping(raw, place), place, _JOB_FIELDS)
    own_zone = fields.zone("zone", zone)
    created = fields.instant("created", zone) or created
    spec = JobSpec(
        name=fields.text("id"),
        job_type="dummy",
        content="",
        status=fields.word("status", JobStatus, JobStatus.ACTIVE),
        priority=fields.whole("priority", 1, least=0),
        is_one_off=fields.flag("isTemp"),
        is_serial=fields.flag("isSerial"),
        active_from=fields.instant("activeStart", zone),
        active_until=fields.instant("activeEnd", zone),
        expire_after=duration(fields.whole("expiredTime", 86400, least=0)),
        max_retries=fields.whole("failedAttempts", 0, least=0),
        retry_interval=duration(fields.whole("failedInterval", 3, least=0)),
        misfire_policy=fields.word("misfirePolicy", MisfirePolicy, MisfirePolicy.ALL),
        time_zone=own_zone.key,
        schedule=schedule_edits(
            fields.raw.get("schedule") or [], f"{place}.schedule", zone=own_zone, now=created
        ),
    )
    return Definition(
        label=spec.name,
        created=created,
        spec=spec,
        links=links(fields.raw.get("dependencies") or [], f"{place}.dependencies"),
        duration=duration(fields.whole("duration", 1, least=0)),
        place=place,
    )


def schedule_edits(
    raw: object, place: str, *, zone: ZoneInfo, now: datetime
) -> tuple[ScheduleEdit, ...]:
    edits = []
    for i, entry in enumerate(listed(raw, place)):
        here = f"{place}[{i}]"
        fields = Fields(mapping(entry, here), here, {"type", "expression"})
        kind = fields.word("type", ExpressionKind, ExpressionKind.CRON)
        text = fields.text("expression")
        try:
            parse_live(kind, text, zone=zone, saved_at=now, now=now)
        except InvalidParameters as refusal:
            raise BadDocument(f"{here}.expression: {refusal}") from refusal
        edits.append(ScheduleEdit(kind=kind, text=text))
    return tuple(edits)


def links(raw: object, place: str) -> tuple[Link, ...]:
    found = []
    for i, entry in enumerate(listed(raw, place)):
        here = f"{place}[{i}]"
        fields = Fields(mapping(entry, here), here, {"pre", "strategy", "offset"})
        strategy = fields.word("strategy", CommonStrategy, CommonStrategy.ALL)
        offset = fields.text("offset", "cd")
        try:
            parse_offset(offset)
        except InvalidParameters as refusal:
            raise BadDocument(f"{here}.offset: {refusal}") from refusal
        found.append(Link(fields.text("pre"), strategy, offset))
    return tuple(found)


def edits_of(entries: tuple[Link, ...], ids: Mapping[str, int]) -> tuple[DependencyEdit, ...]:
    """Return links as edits; a label that is no job becomes an id that is none."""
    return tuple(
        DependencyEdit(
            upstream_id=ids.get(link.upstream, 0), strategy=link.strategy, offset=link.offset
        )
        for link in entries
    )


def _outcomes(raw: object) -> dict[str, tuple[str, ...]]:
    found = {}
    for key, words in mapping(raw, "outcomes").items():
        place = f"outcomes[{key!r}]"
        listed_words = listed(words, place)
        if not listed_words or not set(map(str, listed_words)) <= OUTCOMES:
            raise BadDocument(f"{place}: a list of {', '.join(sorted(OUTCOMES))}, not {words!r}")
        found[str(key)] = tuple(map(str, listed_words))
    return found


def _actions(raw: object, zone: ZoneInfo) -> list[Action]:
    found = []
    for i, entry in enumerate(listed(raw, "actions")):
        place = f"actions[{i}]"
        values = mapping(entry, place)
        do = values.get("do")
        if do not in ACTIONS:
            raise BadDocument(f"{place}.do: one of {', '.join(sorted(ACTIONS))}, not {do!r}")
        missing = sorted(ACTIONS[do] - set(values))
        if missing:
            raise BadDocument(f"{place}.{missing[0]}: it is missing")
        at = instant(values.get("at"), f"{place}.at", zone)
        found.append(Action(at, do, {k: v for k, v in values.items() if k not in {"at", "do"}}))
    return sorted(found, key=lambda action: action.at)


def _refuse_repeated(jobs: tuple[Definition, ...]) -> None:
    seen: set[str] = set()
    for job in jobs:
        if job.label in seen:
            raise BadDocument(f"{job.place}.id: {job.label!r} is used twice")
        seen.add(job.label)


_JOB_FIELDS = {
    "id",
    "created",
    "schedule",
    "dependencies",
    "duration",
    "failedAttempts",
    "failedInterval",
    "expiredTime",
    "isSerial",
    "isTemp",
    "status",
    "priority",
    "zone",
    "misfirePolicy",
    "activeStart",
    "activeEnd",
}
