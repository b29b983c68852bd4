"""What a worker keeps of artifacts as files: bounded, and never less than what is in use."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from jobs.artifact_files import file_of
from jobs.models import Artifact
from jobs.rules.enums import ContentType
from tests.flow.runs import job_of, make_artifact, run

SIZE = 1000

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    """The files' place, with room for two."""
    settings.SENTINEL_WORK_DIR = tmp_path
    settings.SENTINEL_ARTIFACT_CACHE = 2 * SIZE + 10
    return tmp_path / "artifacts"


def three() -> list[Artifact]:
    return [make_artifact(bytes([number]) * SIZE) for number in range(3)]


def used(artifact: Artifact) -> Path:
    with file_of(artifact) as path:
        assert path.stat().st_size == SIZE
    return path


def test_what_was_not_used_for_the_longest_time_makes_room() -> None:
    first, second, third = three()
    older, newer = used(first), used(second)
    os.utime(older, (1, 1))
    os.utime(newer, (2, 2))
    assert used(first) == older  # which is a use

    added = used(third)

    assert (older.exists(), newer.exists(), added.exists()) == (True, False, True)
    assert used(second) == newer


def test_what_is_in_use_stays_however_much_it_is(settings: Any) -> None:
    settings.SENTINEL_ARTIFACT_CACHE = 0
    first, second, third = three()

    with file_of(first) as one, file_of(first) as same, file_of(second) as other:
        assert (one, one.exists(), other.exists()) == (same, True, True)

    added = used(third)
    assert (one.exists(), other.exists(), added.exists()) == (False, False, True)


def test_what_was_never_completed_is_removed_unless_somebody_writes_it(folder: Path) -> None:
    folder.mkdir()
    left, written = folder / "tmpleft", folder / "tmpwritten"
    left.touch()
    with written.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        used(make_artifact(b"a" * SIZE))

    assert (left.exists(), written.exists()) == (False, True)


@pytest.mark.skipif(shutil.which("flock") is None, reason="needs flock")
def test_a_run_holds_its_artifact_until_it_is_over(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    take = "flock --nonblock --conflict-exit-code 7 {content} true {options} {args}"
    monkeypatch.setenv("SENTINEL_MAPREDUCE_COMMAND", take)
    artifact = make_artifact(b"a" * SIZE)

    ran = run(job_of("mapreduce", str(artifact.pk), content_type=ContentType.JAR))

    assert (ran.ending, ran.attempt.exit_code) == (("FAILED", "EXIT_CODE"), 7)
    [path] = folder.iterdir()
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
