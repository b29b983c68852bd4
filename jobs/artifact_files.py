"""Artifacts as files: written from the database once per machine, and checked before each run.

A file is named by what is in it and by nothing that came in a request. Whoever uses or writes one
holds a lock on it, which the kernel drops with the process; what nobody uses makes room when the
files together become too large.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from jobs.assets import Artifact
from sentinel_project.errors import InvalidParameters

_PIECE = 1024 * 1024
_SUFFIX = ".jar"


@contextmanager
def file_of(artifact: Artifact) -> Iterator[Path]:
    """Yield a file with exactly the bytes of ``artifact``, which stays while it is in use.

    A spoilt one is written anew.
    """
    folder = settings.SENTINEL_WORK_DIR / "artifacts"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path: Path = folder / f"{artifact.sha256}{_SUFFIX}"
    with closing(_held(artifact, path)):
        yield path


def _held(artifact: Artifact, path: Path) -> BinaryIO:
    """Return the right file, locked. Between writing and locking it a sweep may be first."""
    while (file := _opened(path)) is None or digest_of(path) != artifact.sha256:
        if file is not None:
            file.close()
        _write(artifact, path)
    os.utime(path)
    return file


def _opened(path: Path) -> BinaryIO | None:
    """Open and lock a file; None: there is none, or it was removed just now."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    fcntl.flock(file, fcntl.LOCK_SH)
    if os.fstat(file.fileno()).st_nlink:
        return file
    file.close()
    return None


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
    sweep(path.parent, keep=max(0, settings.SENTINEL_ARTIFACT_CACHE - artifact.size))
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # so that no sweep takes it for one left behind
    try:
        with os.fdopen(descriptor, "wb") as file:
            for data in pieces_of(artifact):
                file.write(data)
            file.flush()
            if digest_of(Path(name)) != artifact.sha256:
                raise InvalidParameters(
                    f"content: artifact {artifact.pk} is not what was added; add it again"
                )
            Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def sweep(folder: Path, *, keep: int) -> None:
    """Remove what was not used for the longest time until ``keep`` bytes are left, and remains.

    Remains are files that were never completed. What is in use stays, however much it is.
    """
    found = sorted(_entries(folder), key=lambda entry: entry[0].st_mtime_ns)
    size = sum(stat.st_size for stat, _ in found)
    for stat, path in found:
        if (size > keep or path.suffix != _SUFFIX) and _removed(path):
            size -= stat.st_size


def _entries(folder: Path) -> Iterator[tuple[os.stat_result, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                yield entry.stat(follow_symlinks=False), Path(entry.path)
            except FileNotFoundError:
                continue  # another sweep was first


def _removed(path: Path) -> bool:
    """Remove a file unless it is in use; tell whether it is gone."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True
