"""What old runs printed leaves by app and job, after a preview, and nothing else does (X-33)."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from jobs.models import Job
from logs_app import store
from logs_app.models import Chunk, StreamKind
from sentinel_project import clock
from sentinel_project.checks import check_settings
from tasks_app import housekeeping
from tasks_app.models import Attempt, Task
from tasks_app.retention import output
from tasks_app.rules.states import AttemptStatus, TaskStatus
from tests.builders import close_streams, make_app, make_attempt, make_job, make_task

pytestmark = pytest.mark.django_db


def printed(job: Job, *, days: int, text: bytes = b"four") -> Attempt:
    """Return the attempt of a run of ``job`` that ended that long ago."""
    ended_at = clock.now() - timedelta(days=days)
    task = make_task(TaskStatus.RUNNING, job=job, attempt_count=0)
    attempt = make_attempt(task=task)
    store.append(attempt.pk, StreamKind.RESULT, fence=attempt.fence, start=0, data=text)
    close_streams(attempt.pk, fence=attempt.fence, now=ended_at)
    Attempt.objects.filter(pk=attempt.pk).update(status=AttemptStatus.SUCCESS.value)
    Task.objects.filter(pk=task.pk).update(status=TaskStatus.SUCCESS.value, ended_at=ended_at)
    return attempt


def text_of(attempt: Attempt) -> str:
    return store.read_all(attempt.pk, StreamKind.RESULT).text


def run(*words: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("retention", *words, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def test_output_older_than_its_days_leaves_and_the_run_stays(settings: Any) -> None:
    settings.SENTINEL_KEEP_OUTPUT = '{"*": 30}'
    job = make_job()
    old, young = printed(job, days=31), printed(job, days=29)

    housekeeping.sweep(now=clock.now())

    assert (text_of(old), text_of(young)) == ("", "four")
    assert store.read(old.pk, StreamKind.RESULT, offset=0, size=10).is_end
    assert Attempt.objects.count() == 2
    assert Chunk.objects.count() == 1


def test_without_the_setting_everything_stays(settings: Any) -> None:
    old = printed(make_job(), days=10_000)

    assert output.delete(now=clock.now()) == 0
    assert text_of(old) == "four"


def test_the_narrowest_rule_counts(settings: Any) -> None:
    settings.SENTINEL_KEEP_OUTPUT = '{"*": 10, "billing": 20, "billing/report": 40}'
    billing = make_app(name="billing")
    kept = [
        printed(make_job(app=billing, name="report"), days=39),
        printed(make_job(app=billing, name="other"), days=19),
        printed(make_job(), days=9),
    ]
    gone = [
        printed(Job.objects.get(name="report"), days=41),
        printed(Job.objects.get(name="other"), days=21),
        printed(make_job(), days=11),
    ]

    assert output.delete(now=clock.now()) == 12

    assert [text_of(attempt) for attempt in kept] == ["four"] * 3
    assert [text_of(attempt) for attempt in gone] == [""] * 3


def test_a_preview_tells_what_would_leave_and_deletes_nothing(settings: Any) -> None:
    settings.SENTINEL_KEEP_OUTPUT = '{"*": 30}'
    job = make_job(app=make_app(name="billing"), name="report")
    attempts = [printed(job, days=days) for days in (31, 40)]

    shown = run()

    assert (shown["attempts"], shown["bytes"]) == (2, 8)
    (share,) = shown["jobs"]
    assert (share["app"], share["job"], share["attempts"], share["bytes"]) == (
        "billing",
        "report",
        2,
        8,
    )
    assert [text_of(attempt) for attempt in attempts] == ["four", "four"]
    assert run("--apply")["deletedBytes"] == 8
    shown = run()
    assert (shown["attempts"], shown["bytes"], shown["jobs"]) == (0, 0, [])


def test_more_than_a_batch_leaves_at_once(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SENTINEL_KEEP_OUTPUT = '{"*": 30}'
    monkeypatch.setattr(output, "BATCH", 2)
    job = make_job()
    attempts = [printed(job, days=31) for _ in range(5)]

    assert output.delete(now=clock.now()) == 20
    assert {text_of(attempt) for attempt in attempts} == {""}


class TooSlow:
    """Cuts deletes of chunks short that are of more than so many attempts, as a timeout does."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __call__(self, execute: Callable[..., object], sql: str, params: Any, *rest: Any) -> object:
        if sql.startswith('DELETE FROM "logs_app_chunk"') and len(params) > self.most:
            cause = sqlite3.OperationalError("interrupted")
            cause.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise OperationalError("cut short") from cause
        return execute(sql, params, *rest)


def test_a_batch_that_takes_too_long_is_halved_and_all_of_it_leaves(settings: Any) -> None:
    """X-33: the next sweep would begin with the very same batch."""
    settings.SENTINEL_KEEP_OUTPUT = '{"*": 30}'
    job = make_job()
    attempts = [printed(job, days=31) for _ in range(5)]

    with connection.execute_wrapper(TooSlow(most=1)):
        freed = output.delete(now=clock.now())

    assert freed == 20
    assert {text_of(attempt) for attempt in attempts} == {""}


def test_what_takes_too_long_alone_is_raised(settings: Any) -> None:
    settings.SENTINEL_KEEP_OUTPUT = '{"*": 30}'
    kept = printed(make_job(), days=31)

    with connection.execute_wrapper(TooSlow(most=0)), pytest.raises(OperationalError):
        output.delete(now=clock.now())

    assert text_of(kept) == "four"


@pytest.mark.parametrize("name", ["SENTINEL_KEEP_OUTPUT", "SENTINEL_KEEP_TASKS"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON"),
        ("[1]", "must be an object such as"),
        ('{"": 1}', "must be *, an app's name"),
        ('{"a/": 1}', "must be *, an app's name"),
        ('{"*": 0}', "must be an integer from 1 to"),
        ('{"*": true}', "must be an integer from 1 to"),
    ],
)
def test_a_silly_rule_keeps_every_process_from_starting(
    settings: Any, text: str, words: str, name: str
) -> None:
    setattr(settings, name, text)

    (fault,) = check_settings(None)

    assert fault.id == "sentinel.E009"
    assert fault.msg.startswith(name)
    assert words in fault.msg
