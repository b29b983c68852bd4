"""What an attempt really runs: placeholders, scripts, secrets, and what it is refused for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.artifact_files import file_of
from jobs.credential_services import Place, set_credential
from jobs.models import App, Artifact, Job, WorkerGroup
from jobs.rules.enums import ContentType, CredentialKind
from jobs.script_services import add_script, edit_script
from tasks_app.models import Attempt
from tasks_app.rules.states import TaskStatus
from tests.builders import NOW, make_app
from tests.flow.runs import job_of, make_artifact, run, run_again

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")


def keep(
    name: str, value: str, *, group: WorkerGroup | None = None, apps: tuple[App, ...] = ()
) -> None:
    kind = CredentialKind.CONNECTION if "://" in value else CredentialKind.SECRET
    place = Place(group=group, apps=apps)
    set_credential(name, value, kind=kind, place=place, by=None, user="olga", now=NOW)


def test_placeholders_are_filled_in_from_the_data_time_and_what_ran_is_kept() -> None:
    job = job_of(
        "shell", "echo $YTD(-1,yyyy-MM-dd) ${taskId} ${day} $day $HOME", extra={"day": "<$YTD()>"}
    )

    ran = run(job, data_at=datetime(2025, 12, 31, 17, 0, tzinfo=UTC))

    assert ran.ending == ("SUCCESS", "")
    home = ran.result.split()[-1]
    assert ran.result == f"2025-12-31 {ran.task.pk} <20260101> <20260101> {home}\n"
    assert ran.attempt.content == job.content
    assert ran.attempt.rendered == {
        "content": f"echo 2025-12-31 {ran.task.pk} '<20260101>' $day $HOME",
        "extra": {"day": "<20260101>"},
    }


def test_content_without_placeholders_is_kept_once() -> None:
    assert run(job_of("shell", "echo $HOME")).attempt.rendered is None


def test_a_value_never_becomes_a_command() -> None:
    ran = run(job_of("shell", 'echo ${x} "${x}"; ls', extra={"x": "$(touch hit); `touch hit`"}))

    value = "$(touch hit); `touch hit`"
    assert ran.result == f"{value} {value}\ncontent.sh\n"


def script_job(owner: App, reference: str) -> Job:
    return job_of("shell", reference, app=owner, content_type=ContentType.SCRIPT)


def test_a_stored_script_runs_in_the_version_it_has_at_the_start() -> None:
    app = make_app()
    first = add_script("s", "echo 1 $YTD(yyyy)", owner=app, app=app, user="ann", now=NOW)
    latest, pinned = (
        script_job(app, f"{first.script_id}"),
        script_job(app, f"{first.script_id}@1"),
    )
    before = run(latest)

    edit_script(first.script_id, text="exit 3", app=app, user="ann", now=NOW)

    assert before.result == "1 2026\n"
    assert run(pinned).result == "1 2026\n"
    failed = run(latest)
    assert failed.ending == ("FAILED", "EXIT_CODE")
    assert failed.attempt.rendered == {"content": "exit 3", "extra": {}}


def test_another_apps_script_is_unknown_and_no_try_is_spent_on_it() -> None:
    theirs, mine = make_app(), make_app()
    script = add_script("s", "echo 1", owner=theirs, app=theirs, user="ann", now=NOW).script
    job = script_job(mine, str(script.pk))
    Job.objects.filter(pk=job.pk).update(max_retries=3)

    ran = run(job)

    assert ran.ending == ("FAILED", "BAD_CONTENT")
    assert ran.task.reason_text == f"content: there is no script {script.pk}"
    assert ran.task.reason_text in ran.log


def test_a_reference_that_is_none_ends_before_anything_starts() -> None:
    app = make_app()

    for reference in ("seven", "7@0", "-1", "9" * 19, "/etc/passwd"):
        assert run(script_job(app, reference)).ending == ("FAILED", "BAD_CONTENT")


def test_a_type_that_the_app_may_not_use_any_more_is_not_started() -> None:
    app = make_app(allowed_types={"shell": [1], "dummy": []})
    group = WorkerGroup.objects.create(name="other")

    here = run(job_of("shell", "echo ran", app=app))
    elsewhere = run(job_of("shell", "echo ran", app=app, worker_group=group, max_retries=2))
    anywhere = run(job_of("dummy", "", app=app, worker_group=group))
    other = run(job_of("python", "print('ran')", app=app))

    assert (here.ending, anywhere.ending) == (("SUCCESS", ""), ("SUCCESS", ""))
    assert elsewhere.ending == other.ending == ("FAILED", "TYPE_NOT_ALLOWED")
    assert elsewhere.result == other.result == ""
    assert "worker groups [1]" in elsewhere.task.reason_text


def test_a_missing_client_is_told_plainly_and_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SENTINEL_PYTHONS", "default=/nowhere/python")

    ran = run(job_of("python", "print(1)", max_retries=5))

    assert ran.ending == ("FAILED", "NO_CLIENT")
    assert "/nowhere/python" in ran.task.reason_text
    assert ran.task.reason_text in ran.log


def test_a_failure_that_a_retry_may_mend_is_retried() -> None:
    job = job_of("shell", "exit 1", max_retries=1, retry_interval=timedelta(0))

    first = run(job)
    second = run_again(first.task.pk)

    assert first.task.status == TaskStatus.READY
    assert (second.ending, second.attempt.number) == (("FAILED", "EXIT_CODE"), 2)


SPY = """
want=$(echo czNjcjN0IHdvcmQ= | base64 -d)
stat -c %a "$SENTINEL_SECRETS/token" "$SENTINEL_SECRETS"
cmp "$SENTINEL_SECRETS/token" <(printf %s "$want") && echo same
cat /proc/$$/environ /proc/$$/cmdline /proc/$PPID/environ /proc/$PPID/cmdline | grep -ac "$want"
"""


def test_a_secret_comes_as_a_private_file_and_neither_as_a_variable_nor_as_an_argument() -> None:
    keep("token", "s3cr3t word")
    ran = run(job_of("shell", SPY, extra={"secrets": ["token"]}))

    assert ran.result.split() == ["600", "700", "same", "0"]


def test_a_secret_is_masked_in_both_streams_and_in_the_reason() -> None:
    keep("token", "s3cr3t-word")
    keep("db", "postgres://ann:p%40ssw0rd@db/x")
    script = (
        't=$(cat $SENTINEL_SECRETS/token); printf %s "${t:0:5}"; sleep 0.3; echo "${t:5}";'
        ' echo "$t p@ssw0rd $(cat $SENTINEL_SECRETS/db)" >&2'
    )

    ran = run(job_of("shell", script, extra={"secrets": ["token", "db"]}))

    assert (ran.result, ran.log) == ("***\n", "*** *** ***\n")
    assert "s3cr3t" not in str(Attempt.objects.values().get(pk=ran.attempt.pk))


def test_a_group_has_its_own_secret_before_the_common_one_and_apps_may_be_chosen() -> None:
    group = WorkerGroup.objects.create(name="other")
    mine, other = make_app(), make_app()
    keep("token", "common-value")
    keep("token", "others-value", group=group, apps=(mine,))
    script = 'base64 < "$SENTINEL_SECRETS/token"'

    def ran(app: App, **words: object) -> str:
        job = job_of("shell", script, app=app, extra={"secrets": ["token"]}, **words)
        return run(job).result.strip()

    assert ran(mine) == ran(other) == ran(other, worker_group=group) == "Y29tbW9uLXZhbHVl"
    assert ran(mine, worker_group=group) == "b3RoZXJzLXZhbHVl"


def test_a_secret_that_nobody_registered_ends_the_run_before_it_starts() -> None:
    ran = run(job_of("shell", "echo ran", extra={"secrets": ["gone"]}, max_retries=2))

    assert ran.ending == ("FAILED", "BAD_PARAMS")
    assert "nothing is registered as gone for worker group 1" in ran.task.reason_text
    assert ran.result == ""


def test_a_spoilt_file_of_an_artifact_is_written_anew() -> None:
    artifact = make_artifact(b"the bytes")
    with file_of(artifact) as path:
        path.write_bytes(b"other bytes")

    with file_of(artifact) as path:
        assert path.read_bytes() == b"the bytes"
    assert path.stat().st_mode & 0o077 == 0


def test_an_artifact_that_is_not_what_was_added_is_not_run(tmp_path: Path) -> None:
    artifact = make_artifact(b"other bytes than before")
    artifact.pieces.update(data=b"evil bytes")
    Artifact.objects.filter(pk=artifact.pk).update(sha256="0" * 64)

    ran = run(job_of("java", str(artifact.pk), content_type=ContentType.JAR, max_retries=1))

    assert ran.ending == ("FAILED", "BAD_CONTENT")
    assert "is not what was added" in ran.task.reason_text


def test_an_artifact_of_another_app_or_that_is_not_complete_is_unknown() -> None:
    mine, theirs = make_app(), make_app()
    foreign = make_artifact(b"foreign", owner=theirs)
    begun = Artifact.objects.create(name="b", sha256="1" * 64, size=9, created_at=NOW)

    for artifact in (foreign, begun):
        ran = run(job_of("java", str(artifact.pk), app=mine, content_type=ContentType.JAR))
        assert ran.task.reason_text == f"content: there is no artifact {artifact.pk}"
