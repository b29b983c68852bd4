"""Artifacts as files: written from the database once per machine, and checked before each run.

A file is named by what is in it and by nothing that came in a request.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from jobs.assets import Artifact
from sentinel_project.errors import InvalidParameters

_PIECE = 1024 * 1024


def file_of(artifact: Artifact) -> Path:
    """Return a file with exactly the bytes of ``artifact``; a spoilt one is written anew."""
    folder = settings.SENTINEL_WORK_DIR / "artifacts"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path: Path = folder / f"{artifact.sha256}.jar"
    if not path.exists() or digest_of(path) != artifact.sha256:
        _write(artifact, path)
    return path


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def pieces_of(artifact: Artifact) -> Iterator[bytes]:
    """Yield the bytes of ``artifact`` in order, few of them at a time."""
    rows = artifact.pieces.order_by("start").values_list("data", flat=True)
    return map(bytes, rows.iterator(chunk_size=4))


def _write(artifact: Artifact, path: Path) -> None:
    """Write beside it and move it there whole: another run may be reading the file."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for data in pieces_of(artifact):
                file.write(data)
        if digest_of(Path(name)) != artifact.sha256:
            raise InvalidParameters(
                f"content: artifact {artifact.pk} is not what was added; add it again"
            )
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
