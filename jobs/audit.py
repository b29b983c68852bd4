"""The audit log: appended to by whatever changes something, never edited (D-85)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from django.db.models import Model

from jobs.models import App, AuditEntry
from sentinel_project import prepared

# Services take who and when, not from where: the address is the request's and nobody else's.
_address: ContextVar[str] = ContextVar("audit_address", default="")


@contextmanager
def calling_from(address: str) -> Iterator[None]:
    """Note ``address`` in every entry that is recorded inside."""
    token = _address.set(address)
    try:
        yield
    finally:
        _address.reset(token)


def record(  # noqa: PLR0913 - an entry has as many columns
    action: str,
    subject: Model,
    *,
    app: App | None,
    user: str,
    now: datetime,
    address: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Append an entry: ``app`` and ``user`` did ``action`` to ``subject``. Keys never go in."""
    entry = AuditEntry(
        at=now,
        app=app,
        user=user,
        address=address or _address.get(),
        action=action,
        object_type=subject._meta.model_name or "",
        object_id=subject.pk,
        before=before,
        after=after,
    )
    prepared.insert(entry)
    return entry


def author(subject: type[Model], subject_id: int, at: datetime) -> str:
    """Return who changed a row at that very instant; empty: nobody who left an entry."""
    rows = AuditEntry.objects.filter(object_type=subject._meta.model_name, object_id=subject_id)
    return rows.filter(at=at).order_by("-pk").values_list("user", flat=True).first() or ""
