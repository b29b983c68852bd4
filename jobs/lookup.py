"""What a job refers to, found for its app: scripts, artifacts, connections, secrets.

What another app has is unknown, as everywhere (W-21); refusals do not tell the two apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from django.db.models import Q, QuerySet

from jobs.assets import Artifact, Credential, Script, ScriptVersion
from jobs.models import App
from sentinel_project.errors import InvalidParameters

_REFERENCE = re.compile(r"([1-9][0-9]{0,17})(?:@([1-9][0-9]{0,8}))?", re.ASCII)


def scripts_of(app: App) -> QuerySet[Script]:
    """Return the scripts that jobs of ``app`` may run: its own, and those for everybody."""
    rows = Script.objects.all()
    return rows if app.is_admin else rows.filter(Q(app=app) | Q(app__isnull=True))


def artifacts_of(app: App) -> QuerySet[Artifact]:
    """Return the artifacts that jobs of ``app`` may run: its own, and those for everybody."""
    rows = Artifact.objects.filter(completed_at__isnull=False)
    return rows if app.is_admin else rows.filter(Q(app=app) | Q(app__isnull=True))


def script_version(reference: str, app: App) -> ScriptVersion:
    """Return the version that content such as ``7`` (the latest) or ``7@3`` names."""
    found = _REFERENCE.fullmatch(reference.strip())
    if found is None:
        raise InvalidParameters(
            "it must be the id of a script, or id@version such as 7@3, when contentType is 2"
        )
    script_id, number = found.groups()
    rows = ScriptVersion.objects.filter(script__in=scripts_of(app), script_id=int(script_id))
    if number is not None:
        rows = rows.filter(number=int(number))
    version = rows.order_by("-number").first()
    if version is None:
        raise InvalidParameters(f"there is no script {reference.strip()}")
    return version


def artifact(reference: str, app: App) -> Artifact:
    """Return a complete artifact by its id."""
    found = artifacts_of(app).filter(pk=int(reference)).first()
    if found is None:
        raise InvalidParameters(f"there is no artifact {reference}")
    return found


def credentials(
    names: Collection[str], *, app: App, group_id: int
) -> tuple[dict[str, Credential], list[str]]:
    """Return the credentials of ``names`` in a group, and the names that stand for none.

    The group's own comes before the one for every group.
    """
    rows = Credential.objects.filter(name__in=names)
    rows = rows.filter(Q(worker_group=group_id) | Q(worker_group__isnull=True))
    if not app.is_admin:
        rows = rows.filter(Q(apps__isnull=True) | Q(apps=app))
    found: dict[str, Credential] = {}
    for row in rows.distinct():
        if row.name not in found or row.worker_group_id is not None:
            found[row.name] = row
    return found, [name for name in names if name not in found]
