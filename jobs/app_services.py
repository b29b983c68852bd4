"""What is done to apps: register, rotate keys, enable and disable (D-80). All of it is audited."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from jobs import audit, keys, operators
from jobs.models import App
from jobs.rules.enums import AppKind
from sentinel_project.errors import InvalidParameters, Refused

_MAX_NAME = App._meta.get_field("name").max_length or 0


@transaction.atomic
def register_app(
    *, name: str, kind: AppKind, owner: str = "", now: datetime, user: str = ""
) -> tuple[App, str]:
    """Register an app and return it with its key, which is shown this once (W-12)."""
    if not 0 < len(name) <= _MAX_NAME or name != name.strip() or not name.isprintable():
        raise InvalidParameters(
            f"name must be 1 to {_MAX_NAME} printable characters without blanks around, "
            f"not {name!r}"
        )
    if name == operators.NAME:
        raise InvalidParameters(f"name must not be {name!r}: people in the admin site act as it")
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
        raise Refused(f"an app named {name} exists already")
    after = {"name": name, "kind": kind.value, "owner": owner}
    audit.record("app.register", app, app=None, user=user, now=now, after=after)
    return app, key


@transaction.atomic
def rotate_key(app: App, *, user: str, now: datetime) -> str:
    """Return a new key. The present one stays good until it is dropped; an older one goes now."""
    locked = App.objects.select_for_update().get(pk=app.pk)
    key = keys.new_key()
    locked.sealed_old_key, locked.sealed_key = locked.sealed_key, keys.seal(key)
    locked.save(update_fields=["sealed_key", "sealed_old_key"])
    audit.record("app.rotate_key", locked, app=None, user=user, now=now)
    return key


@transaction.atomic
def drop_old_key(app: App, *, user: str, now: datetime) -> None:
    """End the time in which both keys are good."""
    dropped = App.objects.filter(pk=app.pk).exclude(sealed_old_key="").update(sealed_old_key="")
    if not dropped:
        raise Refused(f"app {app.name} has no old key")
    audit.record("app.drop_old_key", app, app=None, user=user, now=now)


@transaction.atomic
def set_enabled(app: App, is_enabled: bool, *, user: str, now: datetime) -> None:
    """Let the app call, or refuse it. Asking for what is already so changes nothing."""
    changed = App.objects.filter(pk=app.pk, is_enabled=not is_enabled).update(is_enabled=is_enabled)
    if changed:
        before, after = {"is_enabled": not is_enabled}, {"is_enabled": is_enabled}
        audit.record(
            "app.set_enabled", app, app=None, user=user, now=now, before=before, after=after
        )
