"""What ``add_connection`` and ``add_secret`` have in common."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from jobs.app_services import locked_app
from jobs.credential_services import Place, set_credential
from jobs.models import WorkerGroup
from jobs.rules.enums import CredentialKind
from sentinel_project import clock
from sentinel_project.errors import SentinelError
from sentinel_project.management.operator import who


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--name", required=True, help="what jobs call it")
    parser.add_argument("--group", type=int, help="only in this worker group; default: in all")
    parser.add_argument("--app", action="append", default=[], help="only for this app; repeatable")


@transaction.atomic
def keep(value: str, kind: CredentialKind, options: dict[str, Any]) -> str:
    """Keep ``value`` as the options say; return what to tell."""
    try:
        row = set_credential(
            options["name"],
            value,
            kind=kind,
            place=Place(group=_group(options["group"]), apps=list(map(locked_app, options["app"]))),
            by=None,
            user=who(),
            now=clock.now(),
        )
    except SentinelError as error:
        raise CommandError(str(error)) from None
    return f"{kind.value.lower()}: {row.name}"


def _group(group_id: int | None) -> WorkerGroup | None:
    if group_id is None:
        return None
    group = WorkerGroup.objects.filter(pk=group_id).first()
    if group is None:
        raise CommandError(f"there is no worker group {group_id}")
    return group
