"""The app that people act as in the admin site: reserved, ADMIN, and unable to call (ADR 0030)."""

from __future__ import annotations

from jobs.models import App
from jobs.rules.enums import AppKind
from sentinel_project import clock
from sentinel_project.errors import Refused

NAME = "operator"


def operator() -> App:
    """Return the operators' app, made at its first use.

    It has no key, so no token fits it, and it is disabled besides. An app of that name that was
    registered has a key and is somebody's: nobody acts in its name.
    """
    app, _ = App.objects.get_or_create(
        name=NAME,
        defaults={
            "kind": AppKind.ADMIN.value,
            "is_enabled": False,
            "sealed_key": "",
            "created_at": clock.now(),
        },
    )
    if not is_operator(app):
        raise Refused(f"an app named {NAME} was registered; that name is reserved for operators")
    return app


def is_operator(app: App) -> bool:
    return app.name == NAME and not app.sealed_key and not app.is_enabled and app.is_admin
