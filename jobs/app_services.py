"""What is done to apps: register, limit, turn keys over, disable, close (D-80, W-12).

All of it is audited. ``by`` is the app that asks: an ADMIN one, the operators', or None for the
command line of the server itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from jobs import audit, keys, operators
from jobs.models import App, Job, WorkerGroup
from jobs.rules import allowance
from jobs.rules.enums import AppKind, JobStatus
from sentinel_project.errors import InvalidParameters, NotFound, Refused
from tasks_app.executors import job_types

MAX_NAME = App._meta.get_field("name").max_length or 0
MAX_PRIORITY = 10
_PLAIN = ("owner", "token_forms", "max_concurrency", "max_priority")
#: What an app may do; ``allowed_groups`` are ids, ``allowed_types`` such lists by jobType; none:
#: every one.
LIMITS = (*_PLAIN, "allowed_groups", "allowed_types")


@transaction.atomic
def register_app(
    *,
    name: str,
    kind: AppKind,
    owner: str = "",
    now: datetime,
    user: str = "",
    by: App | None = None,
    limits: Mapping[str, Any] | None = None,
) -> tuple[App, str]:
    """Register an app and return it with its key, which is shown this once (W-12).

    ``limits`` are those of ``LIMITS`` that shall not have their defaults.
    """
    _refuse_name(name)
    key = keys.new_key()
    app, is_new = App.objects.get_or_create(
        name=name,
        defaults={
            "kind": kind.value,
            "owner": owner,
            "sealed_key": keys.seal(key),
            "created_at": now,
        },
    )
    if not is_new:
        raise Refused(f"an app named {name} {'exists already' if is_open(app) else 'was deleted'}")
    _apply(app, limits or {})
    after = {"name": name, "kind": kind.value, **_state(app)}
    audit.record("app.register", app, app=by, user=user, now=now, after=after)
    return app, key


def _refuse_name(name: str) -> None:
    if not 0 < len(name) <= MAX_NAME or name != name.strip() or not name.isprintable():
        raise InvalidParameters(
            f"appName must be 1 to {MAX_NAME} printable characters without blanks around, "
            f"not {name!r}"
        )
    if name == operators.NAME:
        raise InvalidParameters(f"appName must not be {name!r}: people in the admin site act as it")


def is_open(app: App) -> bool:
    return app.closed_at is None


def locked_app(name: str) -> App:
    """Return the app named ``name`` to be changed; a deleted one and the operators' are none."""
    rows = App.objects.select_for_update(no_key=True).filter(name=name, closed_at__isnull=True)
    app = rows.exclude(name=operators.NAME).first()
    if app is None:
        raise NotFound(f"no app {name!r}")
    return app


@transaction.atomic
def edit_app(
    app: App, changes: Mapping[str, Any], *, by: App | None, user: str, now: datetime
) -> None:
    """Change ``LIMITS`` and ``is_enabled`` (D-80); what is as it was is no change."""
    locked = App.objects.select_for_update(no_key=True).get(pk=app.pk)
    if by == locked and changes.get("is_enabled") is False:
        raise Refused(f"app {app.name} cannot disable itself")
    before = _state(locked)
    _apply(locked, changes)
    after = _state(locked)
    changed = [name for name in after if after[name] != before[name]]
    if changed:
        audit.record(
            "app.edit",
            locked,
            app=by,
            user=user,
            now=now,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )


def _apply(app: App, changes: Mapping[str, Any]) -> None:
    if changes.get("max_priority", 0) > MAX_PRIORITY:
        raise InvalidParameters(f"maxPriority: it is at most {MAX_PRIORITY}")
    plain = {name: changes[name] for name in (*_PLAIN, "is_enabled") if name in changes}
    for name, value in plain.items():
        setattr(app, name, value)
    if plain:
        app.save(update_fields=plain)
    if "allowed_types" in changes:
        app.allowed_types = _known_types(changes["allowed_types"])
        app.save(update_fields=["allowed_types"])
    if "allowed_groups" in changes:
        app.allowed_groups.set(_known_groups(changes["allowed_groups"]))


def _known_types(allowed: Any) -> dict[str, list[int]]:
    if not isinstance(allowed, Mapping):
        raise InvalidParameters("jobTypes: it must be an object")
    if problem := allowance.problem(allowed):
        raise InvalidParameters(f"jobTypes {problem}")
    if unknown := sorted(set(allowed) - set(job_types())):
        raise InvalidParameters(
            f"jobTypes: there is no {', '.join(unknown)}; known are {', '.join(job_types())}"
        )
    _known_groups({group for groups in allowed.values() for group in groups}, "jobTypes")
    return {job_type: sorted(set(groups)) for job_type, groups in sorted(allowed.items())}


def _known_groups(ids: Any, field: str = "workerGroupIds") -> list[WorkerGroup]:
    wanted = set(ids)
    groups = list(WorkerGroup.objects.filter(pk__in=wanted))
    if unknown := sorted(wanted - {group.pk for group in groups}):
        raise InvalidParameters(f"{field}: there is no worker group {', '.join(map(str, unknown))}")
    return groups


def _state(app: App) -> dict[str, Any]:
    groups = sorted(app.allowed_groups.values_list("pk", flat=True))
    plain = {name: getattr(app, name) for name in (*_PLAIN, "is_enabled")}
    return plain | {"allowed_groups": groups, "allowed_types": app.allowed_types}


@transaction.atomic
def rotate_key(app: App, *, by: App | None = None, user: str, now: datetime) -> str:
    """Return a new key beside the present one, which stays good until it is dropped.

    A third one is refused: it would end a key that is still in use (ADR 0081).
    """
    locked = App.objects.select_for_update(no_key=True).get(pk=app.pk)
    if locked.sealed_old_key:
        raise Refused(f"app {app.name} has two keys; drop the old one first")
    key = keys.new_key()
    locked.sealed_old_key, locked.sealed_key = locked.sealed_key, keys.seal(key)
    locked.save(update_fields=["sealed_key", "sealed_old_key"])
    audit.record("app.rotate_key", locked, app=by, user=user, now=now)
    return key


@transaction.atomic
def drop_old_key(app: App, *, by: App | None = None, user: str, now: datetime) -> None:
    """End the time in which both keys are good."""
    dropped = App.objects.filter(pk=app.pk).exclude(sealed_old_key="").update(sealed_old_key="")
    if not dropped:
        raise Refused(f"app {app.name} has no old key")
    audit.record("app.drop_old_key", app, app=by, user=user, now=now)


@transaction.atomic
def set_enabled(
    app: App, is_enabled: bool, *, by: App | None = None, user: str, now: datetime
) -> None:
    """Let the app call, or refuse it. Asking for what is already so changes nothing."""
    rows = App.objects.filter(pk=app.pk, is_enabled=not is_enabled, closed_at__isnull=True)
    if rows.update(is_enabled=is_enabled):
        before, after = {"is_enabled": not is_enabled}, {"is_enabled": is_enabled}
        audit.record("app.set_enabled", app, app=by, user=user, now=now, before=before, after=after)


@transaction.atomic
def close_app(app: App, *, by: App | None, user: str, now: datetime) -> None:
    """Delete an app: its keys are gone and its name stays taken, as history names it (ADR 0081).

    Refused while it has a job that is not TRASHED.
    """
    if by == app:
        raise Refused(f"app {app.name} cannot delete itself")
    # The one lock that holds up foreign keys (ADR 0070): a submission's job must be seen or wait.
    App.objects.select_for_update(no_key=False).get(pk=app.pk)
    if jobs := Job.objects.filter(app=app).exclude(status=JobStatus.TRASHED).count():
        raise Refused(f"app {app.name} has {jobs} jobs that are not TRASHED; trash them first")
    App.objects.filter(pk=app.pk).update(
        is_enabled=False, sealed_key="", sealed_old_key="", closed_at=now
    )
    before = {"name": app.name, "kind": app.kind, "is_enabled": app.is_enabled}
    audit.record("app.delete", app, app=by, user=user, now=now, before=before)


def reseal_keys() -> tuple[int, list[str]]:
    """Seal every key anew under the present secret, so that its fallbacks can go.

    Return how many keys that were, and the names of apps with a key that cannot be opened.
    """
    done, unreadable = 0, []
    for pk in list(App.objects.filter(closed_at__isnull=True).values_list("pk", flat=True)):
        with transaction.atomic():
            app = App.objects.select_for_update(no_key=True).get(pk=pk)
            try:
                done += _reseal(app)
            except keys.Unreadable:
                unreadable.append(app.name)
    return done, unreadable


def _reseal(app: App) -> int:
    sealed = {name: getattr(app, name) for name in ("sealed_key", "sealed_old_key")}
    fresh = {name: keys.seal(keys.unseal(value)) for name, value in sealed.items() if value}
    App.objects.filter(pk=app.pk).update(**fresh)
    return len(fresh)
