"""What is done to connections and secrets, by operators alone. All is audited, but no value is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.db import transaction

from jobs import audit, keys
from jobs.assets import Credential
from jobs.models import App, WorkerGroup
from jobs.rules.enums import CredentialKind
from sentinel_project.errors import InvalidParameters
from tasks_app.executors.params import is_name, is_text
from tasks_app.rules.masking import SHORTEST

_LONGEST = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a credential is known. ``group`` None: in every worker group; no apps: to every app."""

    group: WorkerGroup | None = None
    apps: Collection[App] = ()


@transaction.atomic
def set_credential(  # noqa: PLR0913 - what, where and by whom
    name: str,
    value: str | None,
    *,
    kind: CredentialKind,
    place: Place,
    by: App | None,
    user: str,
    now: datetime,
    must_be_new: bool = False,
) -> Credential:
    """Add a connection or a secret, or change the one of this name and group.

    ``value`` None leaves a present value as it is. ``must_be_new``: whoever asks may only add.
    """
    row = (
        Credential.objects.select_for_update(no_key=True)
        .filter(name=name, worker_group=place.group)
        .first()
    )
    if must_be_new and row is not None:
        raise InvalidParameters(f"name: there is a {name} in this group already; change that one")
    _refuse(name, value, kind, is_new=row is None)
    before = None if row is None else _state(row)
    if row is None:
        row = Credential(name=name, worker_group=place.group)
    row.kind, row.updated_at = kind.value, now
    if value is not None:
        row.sealed = keys.seal(value)
    row.save()
    row.apps.set(place.apps)
    after = _state(row) | ({"value": "set"} if value is not None else {})
    if after != before:
        audit.record("credential.set", row, app=by, user=user, now=now, before=before, after=after)
    return row


@transaction.atomic
def delete_credential(row: Credential, *, by: App | None, user: str, now: datetime) -> None:
    """Forget it; jobs that name it fail with that reason from now on."""
    audit.record("credential.delete", row, app=by, user=user, now=now, before=_state(row))
    row.delete()


def reseal_credentials() -> tuple[int, list[str]]:
    """Seal every value anew under the present secret; return how many, and whose seal is lost."""
    done, unreadable = 0, []
    for pk in list(Credential.objects.values_list("pk", flat=True)):
        with transaction.atomic():
            row = Credential.objects.select_for_update(no_key=True).get(pk=pk)
            try:
                row.sealed = keys.seal(keys.unseal(row.sealed))
            except keys.Unreadable:
                unreadable.append(row.name)
                continue
            row.save(update_fields=["sealed"])
            done += 1
    return done, unreadable


def _refuse(name: str, value: str | None, kind: CredentialKind, *, is_new: bool) -> None:
    problems = []
    if not is_name(name):
        problems.append("name: it must be 1 to 64 letters, digits or _.- and begin with no sign")
    if value is None:
        if is_new:
            problems.append("value: it is missing")
    elif not (is_text(value) and SHORTEST <= len(value.encode()) <= _LONGEST):
        problems.append(f"value: it must be text of {SHORTEST} to {_LONGEST} bytes, without NUL")
    elif kind is CredentialKind.CONNECTION and not _is_address(value):
        problems.append("value: a connection is an address such as postgres://user:word@host/name")
    if problems:
        raise InvalidParameters(*problems)


def _is_address(value: str) -> bool:
    """Tell whether it can be read as one; a / in a password has to be written as %2F."""
    scheme, mark, rest = value.partition("://")
    try:
        urlsplit(value).port  # noqa: B018 (reading it is the check)
    except ValueError:
        return False
    return bool(scheme and mark and rest) and value.isprintable() and " " not in value


def _state(row: Credential) -> dict[str, object]:
    apps = sorted(row.apps.values_list("name", flat=True))
    return {"name": row.name, "kind": row.kind, "group": row.worker_group_id, "apps": apps}
