"""/api/script/… and /api/artifact/…: what jobs run and do not hold themselves."""

from __future__ import annotations

from django.db.models import Max, Q

from jobs import artifact_services, lookup, script_services, selectors
from jobs.assets import Artifact
from jobs.endpoint import Call, Endpoint, Mutation
from jobs.models import App
from jobs.serializers import administration, assets
from sentinel_project.errors import InvalidParameters, NotFound


class AddScriptView(Mutation):
    """/api/script/add: store a script, for jobs with contentType 2."""

    params = assets.AddScriptParams

    def handle(self, call: Call, params: assets.NewScript) -> assets.ScriptVersionRef:
        version = script_services.add_script(
            params.name, params.text, owner=_owner(call, params.owner_name), **call.words
        )
        return assets.version_ref(version)


class EditScriptView(Mutation):
    """/api/script/edit: save another version, give another name; versions stay."""

    params = assets.EditScriptParams

    def handle(self, call: Call, params: assets.ScriptEdit) -> assets.ScriptVersionRef:
        version = script_services.edit_script(
            params.script_id, name=params.name, text=params.text, **call.words
        )
        return assets.version_ref(version)


class ScriptView(Endpoint):
    """/api/script/query: a version of a script with its text."""

    params = assets.ScriptRefParams

    def handle(self, call: Call, params: assets.ScriptRef) -> assets.ScriptText:
        script = lookup.scripts_of(call.app).filter(pk=params.script_id).first()
        if script is None:
            raise NotFound(f"no script {params.script_id}")
        latest = script.versions.select_related("script__app").order_by("-number")[:1].get()
        if params.number is None or params.number == latest.number:
            return assets.script_text(latest, latest.number)
        version = script.versions.select_related("script__app").filter(number=params.number).first()
        if version is None:
            raise InvalidParameters(f"version must be from 1 to {latest.number}")
        return assets.script_text(version, latest.number)


class ScriptListView(Endpoint):
    """/api/script/list: the scripts that the app's jobs may run."""

    params = assets.ScriptListParams

    def handle(self, call: Call, params: administration.Listing) -> assets.ScriptPage:
        rows = lookup.scripts_of(call.app).filter(name__icontains=params.name)
        rows = rows.select_related("app").annotate(latest=Max("versions__number"))
        page = selectors.page_of(rows, limit=params.limit, cursor=params.cursor)
        return assets.script_page(page)


class AddArtifactView(Mutation):
    """/api/artifact/add: upload a file such as a jar, whole or in pieces."""

    params = assets.AddArtifactParams

    def handle(self, call: Call, params: assets.NewPiece) -> assets.ArtifactData:
        row = artifact_services.add_piece(
            params.piece(), owner=_owner(call, params.owner_name), **call.words
        )
        return assets.artifact(row)


class ArtifactListView(Endpoint):
    """/api/artifact/list: the files that the app's jobs may run, and those on their way."""

    params = assets.ArtifactListParams

    def handle(self, call: Call, params: administration.Listing) -> assets.ArtifactPage:
        rows = Artifact.objects.filter(name__icontains=params.name).select_related("app")
        if not call.app.is_admin:
            rows = rows.filter(Q(app=call.app) | Q(app__isnull=True))
        page = selectors.page_of(rows, limit=params.limit, cursor=params.cursor)
        return assets.artifact_page(page)


def _owner(call: Call, name: str | None) -> App | None:
    """Return whose jobs may run it; None: every app's, which an ADMIN app says by naming none."""
    if not call.app.is_admin:
        if name not in {None, call.app.name}:
            raise InvalidParameters(f"appName: {call.app.name!r} can add for itself alone")
        return call.app
    if name is None:
        return None
    owner = App.objects.filter(name=name, closed_at__isnull=True).first()
    if owner is None:
        raise InvalidParameters(f"appName: there is no app {name!r}")
    return owner
