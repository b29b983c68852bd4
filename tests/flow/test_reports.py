"""Ends that could not be reported are found by the next process of the host (3-execution.md 3)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection

from logs_app.models import Stream
from sentinel_project import clock
from tasks_app import reports
from tasks_app.models import Attempt
from tasks_app.rules.states import AttemptStatus, Reason, TaskStatus
from tasks_app.transitions import Ending
from tests.builders import make_attempt
from tests.engine import database_url

DONE = Ending(status=AttemptStatus.SUCCESS, exit_code=0, text="Ended with exit code 0.")


def leave(root: Path, attempt: Attempt, ending: Ending = DONE) -> None:
    """Keep an end and die before it is reported."""
    ahead = reports.write_ahead(root, attempt, ending)
    assert ahead is not None
    ahead.close()


def kept(root: Path) -> list[str]:
    """Return which ends are kept, by what became of their files."""
    return sorted(path.suffix for path in files(root) if path.stat().st_size)


def files(root: Path) -> list[Path]:
    return list((root / "ended").iterdir())


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        pytest.param(DONE, TaskStatus.SUCCESS, id="success"),
        pytest.param(
            Ending(status=AttemptStatus.FAILED, exit_code=3, reason=Reason.EXIT_CODE, text="no"),
            TaskStatus.FAILED,
            id="failure",
        ),
        pytest.param(
            Ending(status=AttemptStatus.LOST, reason=Reason.SHUTDOWN, text="shut down"),
            TaskStatus.READY,
            id="handed back",
        ),
    ],
)
def test_an_end_that_a_dead_worker_left_is_reported(
    db: None, tmp_path: Path, ending: Ending, status: TaskStatus
) -> None:
    attempt = make_attempt()
    leave(tmp_path, attempt, ending)

    assert reports.report_left(tmp_path, now=clock.now()) == 1

    attempt.refresh_from_db()
    assert (attempt.status, attempt.exit_code, attempt.reason) == (
        ending.status,
        ending.exit_code,
        ending.reason,
    )
    assert attempt.task.status == status
    assert not Stream.objects.filter(attempt_id=attempt.pk, closed_at=None).exists()
    assert kept(tmp_path) == []


def test_an_end_comes_too_late_once_the_attempt_was_taken_over(db: None, tmp_path: Path) -> None:
    attempt = make_attempt()
    leave(tmp_path, attempt)
    Attempt.objects.filter(pk=attempt.pk).update(status=AttemptStatus.LOST.value)

    assert reports.report_left(tmp_path, now=clock.now()) == 0

    assert attempt.task.status == TaskStatus.RUNNING
    assert kept(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "kept_code", "text"),
    [
        pytest.param(2**31 - 1, 2**31 - 1, "no", id="32 bits"),
        pytest.param(-(2**31), -(2**31), "no", id="32 bits, negative"),
        pytest.param(2**31, None, "Its exit code has more than 32 bits: 0x80000000. no", id="more"),
        pytest.param(
            2**40, None, "Its exit code has more than 32 bits: 0x10000000000. no", id="much more"
        ),
    ],
)
def test_an_exit_code_of_more_than_32_bits_costs_no_end(
    db: None, tmp_path: Path, code: int, kept_code: int | None, text: str
) -> None:
    """X-7: written ahead and reported, not refused and left to the rescuer."""
    attempt = make_attempt()
    ending = Ending(status=AttemptStatus.FAILED, exit_code=code, reason=Reason.EXIT_CODE, text="no")
    leave(tmp_path, attempt, ending)

    assert reports.report_left(tmp_path, now=clock.now()) == 1

    attempt.refresh_from_db()
    assert (attempt.status, attempt.exit_code) == (AttemptStatus.FAILED, kept_code)
    assert attempt.task.reason_text == text


@pytest.mark.parametrize("change", ["fence", "claimed_at", "task_id"])
def test_an_end_of_another_database_is_nobodys(db: None, tmp_path: Path, change: str) -> None:
    attempt = make_attempt()
    other: dict[str, int | datetime] = {
        "fence": attempt.fence + 1,
        "claimed_at": clock.now(),
        "task_id": attempt.task_id + 1,
    }
    setattr(attempt, change, other[change])
    leave(tmp_path, attempt)

    assert reports.report_left(tmp_path, now=clock.now()) == 0

    assert Attempt.objects.get(pk=attempt.pk).status == AttemptStatus.RUNNING


def test_an_end_that_is_just_being_reported_is_left_alone(db: None, tmp_path: Path) -> None:
    attempt = make_attempt()
    ahead = reports.write_ahead(tmp_path, attempt, DONE)
    assert ahead is not None

    assert reports.report_left(tmp_path, now=clock.now()) == 0
    assert len(kept(tmp_path)) == 1

    ahead.done()
    ahead.close()
    assert kept(tmp_path) == []


def test_a_file_that_cannot_be_emptied_does_not_stop_the_slot(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the slot has claimed with the end would be nobody's."""

    def refuse(*_: object) -> None:
        raise OSError("the disk has gone")

    with closing(written(tmp_path, make_attempt())) as ahead, monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", refuse)
        ahead.done()
    leave(tmp_path, make_attempt())

    assert kept(tmp_path) == [".json", ".json"], "found once more, it says nothing new"
    assert reports.report_left(tmp_path, now=clock.now()) == 2
    assert files(tmp_path) == []


def test_a_file_that_cannot_be_read_costs_only_itself(db: None, tmp_path: Path) -> None:
    attempt = make_attempt()
    leave(tmp_path, attempt)
    (tmp_path / "ended" / "0.json").write_bytes(b'{"attempt":\xff')

    assert reports.report_left(tmp_path, now=clock.now()) == 1
    assert kept(tmp_path) == [".refused"]


@pytest.mark.usefixtures("spelled_statements")
def test_an_end_that_the_database_refuses_is_set_aside_and_not_tried_again(
    committed_db: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused, fine = make_attempt(pk=987_654), make_attempt()
    leave(tmp_path, refused)
    leave(tmp_path, fine)

    def refuse(execute: Callable[..., object], sql: str, params: Any, *rest: object) -> object:
        if 'UPDATE "tasks_app_attempt"' in sql and refused.pk in params:
            raise DataError("out of range")
        return execute(sql, params, *rest)

    with connection.execute_wrapper(refuse):
        assert reports.report_left(tmp_path, now=clock.now()) == 1
    assert reports.report_left(tmp_path, now=clock.now()) == 0

    refused.refresh_from_db()
    assert refused.status == AttemptStatus.RUNNING, "the rescuer's by now"
    assert kept(tmp_path) == [".refused"]
    assert [record.msg for record in caplog.records if record.levelname == "ERROR"] == [
        "report.refused"
    ]


def test_an_end_waits_for_a_database_that_does_not_answer(db: None, tmp_path: Path) -> None:
    def fail(*_: object) -> object:
        raise OperationalError

    leave(tmp_path, make_attempt())

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        reports.report_left(tmp_path, now=clock.now())

    assert reports.report_left(tmp_path, now=clock.now()) == 1


def test_a_root_without_ends_is_no_trouble(tmp_path: Path, db: None) -> None:
    assert reports.report_left(tmp_path / "none", now=clock.now()) == 0


def test_an_end_is_private_and_a_full_disk_does_not_keep_it_from_being_reported(
    db: None, tmp_path: Path
) -> None:
    attempt = make_attempt()
    leave(tmp_path, attempt)
    assert (tmp_path / "ended").stat().st_mode & 0o077 == 0

    (tmp_path / "file").touch()
    assert reports.write_ahead(tmp_path / "file", attempt, DONE) is None


def test_one_file_serves_one_end_after_the_other(db: None, tmp_path: Path) -> None:
    for _ in range(3):
        with closing(written(tmp_path, make_attempt())) as ahead:
            assert kept(tmp_path) == [".json"]
            ahead.done()
        assert kept(tmp_path) == []

    assert len(files(tmp_path)) == 1


def written(root: Path, attempt: Attempt, ending: Ending = DONE) -> reports.Ahead:
    ahead = reports.write_ahead(root, attempt, ending)
    assert ahead is not None
    return ahead


def test_a_shorter_end_leaves_nothing_of_a_longer_one(db: None, tmp_path: Path) -> None:
    with closing(written(tmp_path, make_attempt(), replace(DONE, text="x" * 9000))) as ahead:
        ahead.done()
    attempt = make_attempt()
    leave(tmp_path, attempt)

    assert reports.report_left(tmp_path, now=clock.now()) == 1
    attempt.refresh_from_db()
    assert attempt.reason_text == DONE.text


def test_ends_at_the_same_time_have_files_of_their_own(db: None, tmp_path: Path) -> None:
    first, second = make_attempt(), make_attempt()
    with closing(written(tmp_path, first)) as ahead, closing(written(tmp_path, second)):
        assert kept(tmp_path) == [".json", ".json"]
        ahead.done()

    assert reports.report_left(tmp_path, now=clock.now()) == 1
    assert Attempt.objects.get(pk=first.pk).status == AttemptStatus.RUNNING
    assert Attempt.objects.get(pk=second.pk).status == AttemptStatus.SUCCESS


def test_an_end_is_kept_where_it_is_found_though_the_folder_was_cleared(
    db: None, tmp_path: Path
) -> None:
    with closing(written(tmp_path, make_attempt())) as ahead:
        ahead.done()
    shutil.rmtree(tmp_path / "ended")
    leave(tmp_path, make_attempt())

    assert reports.report_left(tmp_path, now=clock.now()) == 1


def test_a_file_that_its_process_left_empty_is_swept(db: None, tmp_path: Path) -> None:
    leave(tmp_path, make_attempt())
    (file,) = files(tmp_path)
    file.write_bytes(b"")

    assert reports.report_left(tmp_path, now=clock.now()) == 0
    assert files(tmp_path) == []


def test_an_empty_file_of_a_living_process_stays(db: None, tmp_path: Path) -> None:
    with closing(written(tmp_path, make_attempt())) as ahead:
        ahead.done()

    assert reports.report_left(tmp_path, now=clock.now()) == 0
    assert len(files(tmp_path)) == 1


def test_an_end_that_was_torn_is_set_aside(db: None, tmp_path: Path) -> None:
    """Its process was killed as it wrote: a part of a document is none."""
    leave(tmp_path, make_attempt())
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes()[:-1])

    assert reports.report_left(tmp_path, now=clock.now()) == 0
    assert kept(tmp_path) == [".refused"]


DYING = """
import os, signal, sys
from pathlib import Path
import django
django.setup()
from sentinel_project import clock
from tasks_app import runner, transitions
transitions.settle = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
runner.run(int(sys.argv[1]), worker="dying", clock=clock.now)
"""


@pytest.mark.parametrize("is_ahead", [True, False], ids=["written ahead", "mutant: reported first"])
def test_a_worker_that_dies_while_it_reports_does_not_lose_the_end(
    committed_db: None, tmp_path: Path, is_ahead: bool
) -> None:
    """X-7. A worker that kept the end only after the report would lose it here."""
    from tests.builders import make_task

    task = make_task(ready_at=clock.now())
    mutant = (
        "" if is_ahead else "from tasks_app import reports\nreports.write_ahead = lambda *_: None"
    )
    script = DYING.replace("runner.run(", f"{mutant}\nrunner.run(")
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "sentinel_project.settings",
        "SENTINEL_DATABASE_URL": database_url(),
        "SENTINEL_WORK_DIR": str(tmp_path),
    }
    died = subprocess.run([sys.executable, "-c", script, str(task.pk)], env=env, check=False)
    assert died.returncode == -9

    reported = reports.report_left(tmp_path, now=clock.now())

    task.refresh_from_db()
    assert (reported, task.status == TaskStatus.SUCCESS) == (int(is_ahead), is_ahead)
