"""What is done to artifacts: they arrive in pieces, and count when all of it is there and right.

An artifact is known by the SHA-256 of its bytes: what an app has already is not kept twice.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from jobs import artifact_files, audit
from jobs.assets import Artifact, ArtifactPiece
from jobs.models import App
from sentinel_project.errors import InvalidParameters, Refused

MAX_PIECE = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some bytes of a file, from ``start`` on. ``size`` and ``sha256`` are the whole file's."""

    name: str
    size: int
    sha256: str
    start: int
    data: bytes


def whole(name: str, data: bytes) -> Piece:
    """Return the only piece of a small file."""
    sha256 = hashlib.sha256(data).hexdigest()
    return Piece(name=name, size=len(data), sha256=sha256, start=0, data=data)


@transaction.atomic
def add_piece(
    piece: Piece, *, owner: App | None, app: App | None, user: str, now: datetime
) -> Artifact:
    """Keep a piece and return the artifact; ``owner`` None: every app may run it.

    A piece that was kept already changes nothing. The first one begins anew what is not complete.
    """
    _refuse_sizes(piece)
    artifact = _begun(piece, owner, user, now)
    if artifact.completed_at is not None:
        return artifact
    if piece.start == 0 and artifact.received:
        artifact.pieces.all().delete()
        artifact.received = 0
    if piece.start + len(piece.data) <= artifact.received:
        return artifact
    if piece.start != artifact.received:
        raise Refused(f"offset: {artifact.received} bytes are there; go on from there, or from 0")
    ArtifactPiece.objects.create(artifact=artifact, start=piece.start, data=piece.data)
    artifact.received += len(piece.data)
    if artifact.received == artifact.size:
        _complete(artifact, now)
    artifact.save(update_fields=["received", "completed_at"])
    after = {"name": artifact.name, "sha256": artifact.sha256, "received": artifact.received}
    audit.record("artifact.add", artifact, app=app, user=user, now=now, after=after)
    return artifact


def add_file(
    path: Path, *, name: str, owner: App | None, app: App | None, user: str, now: datetime
) -> Artifact:
    """Keep a file of this machine, piece by piece."""
    size, sha256 = path.stat().st_size, artifact_files.digest_of(path)
    artifact: Artifact | None = None
    with path.open("rb") as file:
        start = 0
        while artifact is None or artifact.completed_at is None:
            data = file.read(MAX_PIECE)
            piece = Piece(name=name, size=size, sha256=sha256, start=start, data=data)
            artifact = add_piece(piece, owner=owner, app=app, user=user, now=now)
            start += len(data)
    return artifact


def _refuse_sizes(piece: Piece) -> None:
    most = settings.SENTINEL_ARTIFACT_MAX
    problems = []
    if not 0 < piece.size <= most:
        problems.append(f"size: it must be 1 to {most} bytes, not {piece.size}")
    if not _SHA256.fullmatch(piece.sha256):
        problems.append("sha256: it must be 64 hexadecimal digits in lower case")
    if not 0 < len(piece.data) <= MAX_PIECE:
        problems.append(f"data: it must be 1 to {MAX_PIECE} bytes, not {len(piece.data)}")
    elif piece.start + len(piece.data) > piece.size:
        problems.append(f"data: it goes beyond the {piece.size} bytes of the file")
    if problems:
        raise InvalidParameters(*problems)


def _begun(piece: Piece, owner: App | None, user: str, now: datetime) -> Artifact:
    """Return the artifact that the piece belongs to, locked; a new one counts for the quota."""
    rows = Artifact.objects.select_for_update(of=("self",), no_key=True)
    artifact = rows.filter(app=owner, sha256=piece.sha256).first()
    if artifact is None:
        _refuse_quota(piece, owner)
        artifact, _ = rows.get_or_create(
            app=owner,
            sha256=piece.sha256,
            defaults={"name": piece.name, "size": piece.size, "user": user, "created_at": now},
        )
    if artifact.size != piece.size:
        raise Refused(f"size: this file was begun with {artifact.size} bytes")
    return artifact


def _refuse_quota(piece: Piece, owner: App | None) -> None:
    if owner is None:
        return
    App.objects.select_for_update(no_key=True).get(pk=owner.pk)
    used = Artifact.objects.filter(app=owner).aggregate(total=Sum("size"))["total"] or 0
    if used + piece.size > settings.SENTINEL_ARTIFACT_QUOTA:
        raise Refused(
            f"the artifacts of app {owner.name} have {used} bytes, and may have"
            f" {settings.SENTINEL_ARTIFACT_QUOTA} in all"
        )


def _complete(artifact: Artifact, now: datetime) -> None:
    digest = hashlib.sha256()
    for data in artifact_files.pieces_of(artifact):
        digest.update(data)
    if digest.hexdigest() != artifact.sha256:
        raise Refused(
            f"sha256: the {artifact.size} bytes that came have another one; begin again at offset 0"
        )
    artifact.completed_at = now
