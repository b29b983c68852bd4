"""The wire's words for scripts and artifacts, and what is answered about them (2-wire.md 5)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from jobs.artifact_services import MAX_PIECE, Piece, whole
from jobs.assets import Artifact, ScriptVersion
from jobs.selectors import Page
from jobs.serializers.administration import ListingParams
from jobs.serializers.submit import MAX_CONTENT
from sentinel_project.errors import InvalidParameters
from sentinel_project.wire import schemas
from sentinel_project.wire.fields import IdField, IntegerField, TextField, WireField, to_millis
from sentinel_project.wire.params import Params
from sentinel_project.wire.schemas import Id, Millis

_MAX_SIZE = 2**40
_MAX_VERSION = 2**31 - 1


class BytesField(WireField):
    """Bytes as base64."""

    accepts = f"base64 of 1 to {MAX_PIECE} bytes"

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.refuse(data)
        try:
            found = base64.b64decode(data.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            self.fail("wrong", found="other text")
        if not 0 < len(found) <= MAX_PIECE:
            self.fail("wrong", found=f"{len(found)} bytes")
        return found


@schemas.accepted.register
def _(field: BytesField) -> schemas.Schema:
    return {"type": "string", "contentEncoding": "base64", "minLength": 4}


# -- scripts ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewScript:
    """``owner_name`` None: of a NORMAL app its own, of an ADMIN app everybody's."""

    name: str
    text: str
    owner_name: str | None = None


class AddScriptParams(Params):
    """``parameters`` of /api/script/add."""

    builds = NewScript

    scriptName = TextField(low=1, high=256, source="name")
    content = TextField(low=1, max_bytes=MAX_CONTENT, source="text")
    appName = TextField(low=1, high=256, source="owner_name", required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEdit:
    script_id: int
    name: str | None = None
    text: str | None = None


class EditScriptParams(Params):
    """``parameters`` of /api/script/edit: what is absent stays."""

    builds = ScriptEdit

    scriptId = IdField(source="script_id")
    scriptName = TextField(low=1, high=256, source="name", required=False)
    content = TextField(low=1, max_bytes=MAX_CONTENT, source="text", required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRef:
    """``number`` None: the latest version."""

    script_id: int
    number: int | None = None


class ScriptRefParams(Params):
    """``parameters`` of /api/script/query."""

    builds = ScriptRef

    scriptId = IdField(source="script_id")
    version = IntegerField(1, _MAX_VERSION, source="number", required=False)


class ScriptListParams(ListingParams):
    scriptName = TextField(high=256, source="name", required=False)


class ScriptVersionRef(TypedDict):
    scriptId: Id
    version: Annotated[int, "counted from 1"]


class ScriptData(TypedDict):
    scriptId: Id
    scriptName: str
    appName: Annotated[str, "whose jobs may run it; null: every app's"] | None
    version: Annotated[int, "the latest"]
    createTime: Millis


class ScriptText(TypedDict):
    scriptId: Id
    scriptName: str
    appName: Annotated[str, "whose jobs may run it; null: every app's"] | None
    version: int
    latestVersion: int
    content: str
    user: Annotated[str, "who saved this version"]
    createTime: Annotated[int, "epoch milliseconds; of this version"]


class ScriptPage(TypedDict):
    scripts: list[ScriptData]
    cursor: str | None


def version_ref(row: ScriptVersion) -> ScriptVersionRef:
    return {"scriptId": row.script_id, "version": row.number}


def script_text(row: ScriptVersion, latest: int) -> ScriptText:
    return {
        "scriptId": row.script_id,
        "scriptName": row.script.name,
        "appName": row.script.app.name if row.script.app else None,
        "version": row.number,
        "latestVersion": latest,
        "content": row.text,
        "user": row.user,
        "createTime": to_millis(row.created_at),
    }


def script_page(page: Page[Any]) -> ScriptPage:
    """Return scripts that were read with their ``latest`` version."""
    return {
        "scripts": [
            {
                "scriptId": row.pk,
                "scriptName": row.name,
                "appName": row.app.name if row.app else None,
                "version": vars(row)["latest"],
                "createTime": to_millis(row.created_at),
            }
            for row in page.rows
        ],
        "cursor": page.cursor,
    }


# -- artifacts -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPiece:
    """Without ``size`` and ``sha256`` the piece is the whole file."""

    name: str
    data: bytes
    start: int = 0
    size: int | None = None
    sha256: str | None = None
    owner_name: str | None = None

    def piece(self) -> Piece:
        if self.size is None and self.sha256 is None and self.start == 0:
            return whole(self.name, self.data)
        if self.size is None or self.sha256 is None:
            raise InvalidParameters("size and sha256 must both be given for a file in pieces")
        return Piece(
            name=self.name, size=self.size, sha256=self.sha256, start=self.start, data=self.data
        )


class AddArtifactParams(Params):
    """``parameters`` of /api/artifact/add."""

    builds = NewPiece

    artifactName = TextField(low=1, high=256, source="name")
    data_ = BytesField()
    offset = IntegerField(0, _MAX_SIZE, source="start", required=False)
    size = IntegerField(1, _MAX_SIZE, required=False)
    sha256 = TextField(low=64, high=64, required=False)
    appName = TextField(low=1, high=256, source="owner_name", required=False)


class ArtifactListParams(ListingParams):
    artifactName = TextField(high=256, source="name", required=False)


class ArtifactData(TypedDict):
    artifactId: Id
    artifactName: str
    appName: Annotated[str, "whose jobs may run it; null: every app's"] | None
    sha256: str
    size: Annotated[int, "bytes"]
    received: Annotated[int, "bytes that are there; the next piece begins here"]
    isComplete: bool
    createTime: Millis


class ArtifactPage(TypedDict):
    artifacts: list[ArtifactData]
    cursor: str | None


def artifact(row: Artifact) -> ArtifactData:
    return {
        "artifactId": row.pk,
        "artifactName": row.name,
        "appName": row.app.name if row.app else None,
        "sha256": row.sha256,
        "size": row.size,
        "received": row.received,
        "isComplete": row.completed_at is not None,
        "createTime": to_millis(row.created_at),
    }


def artifact_page(page: Page[Artifact]) -> ArtifactPage:
    return {"artifacts": [artifact(row) for row in page.rows], "cursor": page.cursor}
