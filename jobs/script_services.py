"""What is done to stored scripts: added, and saved anew as another version. All is audited."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from jobs import audit, lookup
from jobs.assets import Script, ScriptVersion
from jobs.models import App
from jobs.names import unless_taken
from sentinel_project.errors import InvalidParameters, NotFound, Refused
from tasks_app.executors.params import is_text
from tasks_app.rules.substitution import parse

MAX_TEXT = 1024 * 1024


@transaction.atomic
def add_script(
    name: str, text: str, *, owner: App | None, app: App, user: str, now: datetime
) -> ScriptVersion:
    """Store a script and return its first version; ``owner`` None: every app may run it."""
    _refuse_text(text)
    with unless_taken("a script", name):
        script = Script.objects.create(app=owner, name=name, created_at=now)
    version = ScriptVersion.objects.create(
        script=script, number=1, text=text, user=user, created_at=now
    )
    after = {"name": name, "owner": owner.name if owner else None, "version": 1}
    audit.record("script.add", script, app=app, user=user, now=now, after=after)
    return version


@transaction.atomic
def edit_script(
    script_id: int,
    *,
    name: str | None = None,
    text: str | None = None,
    app: App,
    user: str,
    now: datetime,
) -> ScriptVersion:
    """Give a script another name, another version, or both; return its latest version.

    What is as it was is no change. Versions stay, so that a job may name one.
    """
    script = _locked(script_id, app)
    latest = script.versions.order_by("-number")[:1].get()
    before = {"name": script.name, "version": latest.number}
    if text is not None and text != latest.text:
        _refuse_text(text)
        latest = ScriptVersion.objects.create(
            script=script, number=latest.number + 1, text=text, user=user, created_at=now
        )
    if name is not None and name != script.name:
        script.name = name
        with unless_taken("a script", name):
            script.save(update_fields=["name"])
    after = {"name": script.name, "version": latest.number}
    if after != before:
        audit.record("script.edit", script, app=app, user=user, now=now, before=before, after=after)
    return latest


def _locked(script_id: int, app: App) -> Script:
    """Return a script that ``app`` may change: its own; one for everybody is the ADMIN apps'."""
    script = (
        lookup.scripts_of(app)
        .select_for_update(of=("self",), no_key=True)
        .filter(pk=script_id)
        .first()
    )
    if script is None:
        raise NotFound(f"no script {script_id}")
    if not (app.is_admin or script.app_id == app.pk):
        raise Refused(f"script {script_id} is for every app; only an ADMIN app may change it")
    return script


def _refuse_text(text: str) -> None:
    """Refuse malformed placeholders here already: the jobs that run it would all fail."""
    if not (is_text(text) and 0 < len(text.encode()) <= MAX_TEXT):
        raise InvalidParameters(f"content: it must be text of 1 to {MAX_TEXT} bytes, without NUL")
    try:
        parse(text)
    except InvalidParameters as refusal:
        raise InvalidParameters(*(f"content: {each}" for each in refusal.problems)) from None
