"""The command line as a process of its own: what it prints, and how it exits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pytest

from jobs.models import Job
from jobs.rules.enums import AppKind, JobStatus
from logs_app.models import StreamKind
from sentinel_project.client.cli.exits import ExitCode
from tasks_app.models import SystemState, Task
from tasks_app.rules.states import TaskStatus
from tests.builders import make_job, make_output, make_task
from tests.client.conftest import Sentinel, Service
from tests.flow.web_receiver import receiving


def one_line(text: str) -> str:
    """Return a complaint, which is one line and no traceback."""
    assert text.startswith("sentinel: "), text
    assert text.count("\n") == 1, text
    return text.removeprefix("sentinel: ").strip()


def table(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


# -- jobs ------------------------------------------------------------------------------------------


def test_a_job_is_submitted_with_its_schedule_and_upstream(
    sentinel: Sentinel, service: Service
) -> None:
    sentinel("submit", "extract", "-c", "true", "--cron", "0 1 * * *")
    upstream = Job.objects.get()

    done = sentinel(
        *("submit", "report", "--content", "echo hi", "--cron", "0 3 * * *", "--retries", 2),
        *("--after", "extract@d(-1)", "-p", "day=mon", "--set", "failedInterval=9", "-o", "json"),
    )

    assert done.returncode == ExitCode.DONE, done.stderr
    made = json.loads(done.stdout)
    job = Job.objects.get(pk=made["jobId"])
    (dependency,) = job.dependencies.all()
    assert (job.name, job.max_retries, job.extra) == ("report", 2, {"day": "mon"})
    assert job.retry_interval.total_seconds() == 9
    assert (dependency.upstream_id, dependency.offset) == (upstream.pk, "d(-1)")
    assert len(made["nextTimes"]) == 3


def test_content_comes_from_a_file_or_from_standard_input(sentinel: Sentinel) -> None:
    (sentinel.home / "script.sh").write_text("echo Größe\n", encoding="utf-8")

    assert sentinel("submit", "a", "--file", "script.sh").returncode == ExitCode.DONE
    assert sentinel("submit", "b", "--file", "-", stdin="date\n").returncode == ExitCode.DONE
    missing = sentinel("submit", "c", "--file", "nowhere.sh")

    assert list(Job.objects.order_by("pk").values_list("content", flat=True)) == [
        "echo Größe\n",
        "date\n",
    ]
    assert missing.returncode == ExitCode.USAGE
    assert "nowhere.sh cannot be read" in one_line(missing.stderr)


def test_jobs_are_listed_as_a_table_and_as_json(sentinel: Sentinel, service: Service) -> None:
    job = make_job(app=service.app, name="a [bold]job\x1b[31m\nx" + "y" * 200)

    shown, told = sentinel("list"), sentinel("list", "-o", "json")

    assert table(shown.stdout)[0] == ["JOB", "NAME", "TYPE", "STATUS", "APP", "NEXT"]
    assert f"a [bold]job\\x1b[31m\\nx{'y' * 200}" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert json.loads(told.stdout)[0]["jobName"] == job.name


def test_a_job_can_be_named_by_its_name(sentinel: Sentinel, service: Service) -> None:
    job = make_job(app=service.app, name="nightly")
    make_job(app=service.app, name="nightly two")

    assert sentinel("pause", "nightly").returncode == ExitCode.DONE
    unknown = sentinel("show", "nightl")

    job.refresh_from_db()
    assert job.status == JobStatus.PAUSED
    assert unknown.returncode == ExitCode.REFUSED
    assert one_line(unknown.stderr) == "there is no job named 'nightl'"


def test_a_schedule_is_previewed_and_nothing_is_kept(sentinel: Sentinel) -> None:
    seen = sentinel("preview", "--cron", "30 9 * * 1-5", "--zone", "Europe/Berlin", "-n", 2)
    wrong = sentinel("preview", "--cron", "61 * * * *")

    assert seen.stdout.count("T09:30:00+0") == 2
    assert wrong.returncode == ExitCode.REFUSED
    assert "scheduleExpressionList.expression" in one_line(wrong.stderr)
    assert not Job.objects.exists()


def test_what_is_planned_is_listed(sentinel: Sentinel) -> None:
    sentinel("submit", "hourly", "-c", "true", "--cron", "0 * * * *")

    planned = json.loads(sentinel("plan", "--from", "now", "--to", "+3h", "-o", "json").stdout)

    assert [run["jobName"] for run in planned] == ["hourly"] * 3


def test_a_slot_is_skipped_and_a_rerun_is_tried_dry(sentinel: Sentinel) -> None:
    sentinel("submit", "hourly", "-c", "true", "--cron", "0 * * * *")
    slot = json.loads(sentinel("plan", "-o", "json").stdout)[1]["scheduleTime"]

    skipped = sentinel("skip", "hourly", slot, "--reason", "holiday")
    dry = sentinel("rerun", "hourly", "--from", "-3h", "--dry-run", "-o", "json")

    assert skipped.returncode == ExitCode.DONE, skipped.stderr
    plan = {
        run["scheduleTime"]: run["reason"]
        for run in json.loads(sentinel("plan", "-o", "json").stdout)
    }
    assert plan[slot] == "SKIPPED_BY_USER"
    assert json.loads(dry.stdout)["count"] == 3
    assert not Task.objects.exists()


# -- tasks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (TaskStatus.SUCCESS, ExitCode.DONE),
        (TaskStatus.FAILED, ExitCode.TASK_FAILED),
        (TaskStatus.KILLED, ExitCode.TASK_KILLED),
        (TaskStatus.REMOVED, ExitCode.TASK_REMOVED),
    ],
)
def test_wait_exits_as_the_task_ended(
    sentinel: Sentinel, service: Service, status: TaskStatus, code: ExitCode
) -> None:
    task = make_task(status, job=make_job(app=service.app))

    done = sentinel("wait", task.pk, "-o", "json")

    assert done.returncode == code
    assert json.loads(done.stdout)[0]["status"] == status


def test_a_wait_that_lasts_too_long_has_an_exit_code_of_its_own(
    sentinel: Sentinel, service: Service
) -> None:
    task = make_task(TaskStatus.WAITING, job=make_job(app=service.app))

    done = sentinel("wait", task.pk, "--timeout", "0.2")

    assert done.returncode == ExitCode.GAVE_UP
    assert one_line(done.stderr) == f"task {task.pk} is still WAITING after 0.2 s"


def test_run_hands_other_params_to_a_run_of_now(sentinel: Sentinel, service: Service) -> None:
    make_job(app=service.app, name="load", extra={"day": "mon"})

    done = sentinel("run", "load", "-p", "day=tue", "-o", "json")

    task = Task.objects.get(pk=json.loads(done.stdout)["taskId"])
    assert task.extra == {"day": "tue"}


def test_both_streams_are_printed_as_they_are_but_for_what_is_no_utf8(
    sentinel: Sentinel, service: Service
) -> None:
    """W-20."""
    job = make_job(app=service.app)
    task = make_task(TaskStatus.RUNNING, job=job, attempt_count=0)
    text = "Zeile 1\n\x1b[1mfett\x1b[0m ☃ " + "x" * 300_000
    make_output(text.encode() + b"\xff", kind=StreamKind.RESULT, is_closed=False, task=task)
    Task.objects.filter(pk=task.pk).update(attempt_count=1)

    assert sentinel("result", task.pk).stdout == text + "\ufffd"
    assert sentinel("log", task.pk).stdout == ""


def test_verbs_answer_for_each_task_and_exit_1_if_one_was_refused(
    sentinel: Sentinel, service: Service
) -> None:
    job = make_job(app=service.app)
    failed, done = make_task(TaskStatus.FAILED, job=job), make_task(TaskStatus.SUCCESS, job=job)

    retried = sentinel("retry", failed.pk)
    removed = sentinel("remove", failed.pk, done.pk)

    assert retried.returncode == ExitCode.DONE, retried.stderr
    assert table(retried.stdout)[1][:2] == [str(failed.pk), "READY"]
    assert removed.returncode == ExitCode.REFUSED
    assert [row[1] for row in table(removed.stdout)[1:]] == ["REMOVED", "SUCCESS"]


def test_a_task_tells_its_attempts_gates_and_history(sentinel: Sentinel, service: Service) -> None:
    job = make_job(app=service.app)
    task = make_task(TaskStatus.FAILED, job=job)
    due = int(task.due_at.timestamp() * 1000)

    assert "ATTEMPT" in sentinel("status", task.pk).stdout
    assert table(sentinel("explain", task.pk).stdout)[0] == [
        "GATE",
        "STATE",
        "SINCE",
        "REASON",
        "TEXT",
    ]
    assert "opened" in sentinel("timeline", task.pk).stdout
    by_time = sentinel("explain", "--job", job.name, "--due", due, "-o", "json")
    assert json.loads(by_time.stdout)["taskId"] == task.pk
    assert sentinel("explain", "--job", job.name).returncode == ExitCode.USAGE


def test_forcing_and_pausing_everything_are_for_admin_apps(
    sentinel: Sentinel, service: Service
) -> None:
    task = make_task(TaskStatus.FAILED, job=make_job(app=service.app))

    refused = sentinel("force", task.pk, "success")
    type(service.app).objects.filter(pk=service.app.pk).update(kind=AppKind.ADMIN.value)
    forced = sentinel("force", task.pk, "success", "--reason", "by hand")
    paused = sentinel("system", "pause")

    assert one_line(refused.stderr) == "only ADMIN apps may do this"
    assert "SUCCESS" in forced.stdout
    assert "PAUSED" in paused.stdout
    assert SystemState.objects.get().is_paused


def test_every_endpoint_can_be_called(sentinel: Sentinel, service: Service) -> None:
    job = make_job(app=service.app)

    read = sentinel("call", "/api/job/query", json.dumps({"jobId": job.pk}))
    changed = sentinel("call", "job/run", json.dumps({"jobId": job.pk}), "--change")
    wrong = sentinel("call", "job/query", "[1]")

    assert json.loads(read.stdout)["jobId"] == job.pk
    assert Task.objects.filter(pk=json.loads(changed.stdout)["taskId"]).exists()
    assert one_line(wrong.stderr).endswith("the parameters must be a JSON object")


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", 999], ExitCode.REFUSED, "no job 999"),
        (["status", 999], ExitCode.REFUSED, "no task 999"),
        (["status", "x"], ExitCode.USAGE, "valid integer"),
        (["statsu", "1"], ExitCode.USAGE, "statsu"),
        (["submit", "x"], ExitCode.USAGE, "either --content or --file"),
        (["submit", "x", "-c", "y", "-p", "novalue"], ExitCode.USAGE, "NAME=VALUE"),
        (["submit", "x", "-c", "y", "--wait", "--cron", "0 3 * * *"], ExitCode.USAGE, "a schedule"),
        (["submit", "x", "-c", "y", "--wait", "--set", "status=2"], ExitCode.USAGE, "an ACTIVE"),
        (["submit", "x", "-c", "y", "--wait", "--set", "isTemp=false"], ExitCode.USAGE, "one-off"),
        (["submit", "x", "-c", "y", "--set", "nosuch=1"], ExitCode.REFUSED, "nosuch"),
        (["list", "--status", "BUSY"], ExitCode.USAGE, "'BUSY' is none of ACTIVE"),
        (["plan", "--from", "yesterday"], ExitCode.USAGE, "'yesterday' is no instant"),
        (["plan", "--to", "+9d"], ExitCode.REFUSED, "7 days"),
        (["apply", "-f", "nowhere.yaml"], ExitCode.USAGE, "nowhere.yaml cannot be read"),
        (["--context", "none", "list"], ExitCode.USAGE, "there is no context 'none'"),
    ],
)
def test_every_mistake_is_one_clear_line(
    sentinel: Sentinel, words: Iterable[object], code: ExitCode, said: str
) -> None:
    done = sentinel(*words)

    assert (done.returncode, done.stdout) == (code, "")
    assert said in one_line(done.stderr)
    assert not Job.objects.exists(), "nothing was changed"


def test_a_server_that_is_not_there_is_told_in_one_line(alone: Sentinel) -> None:
    alone.env = {"SENTINEL_URL": "http://127.0.0.1:9", "SENTINEL_APP": "a", "SENTINEL_KEY": "k"}

    done = alone("list")

    assert done.returncode == ExitCode.UNREACHABLE
    assert "http://127.0.0.1:9 does not answer" in one_line(done.stderr)


def test_a_server_that_broke_has_an_exit_code_of_its_own(alone: Sentinel) -> None:
    with receiving() as server:
        server.status, server.body = 500, b'{"code": 9999, "msg": "see fault 7", "data": "{}"}'
        alone.env = {"SENTINEL_URL": server.url(""), "SENTINEL_APP": "a", "SENTINEL_KEY": "k"}

        done = alone("list")

    assert (done.returncode, one_line(done.stderr)) == (ExitCode.BROKEN, "see fault 7")


@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_answer_of_a_proxy_is_no_refusal(alone: Sentinel, status: int) -> None:
    """What was asked for may have been done behind it."""
    with receiving() as proxy:
        proxy.status, proxy.body = status, b"<html>something went wrong</html>"
        alone.env = {"SENTINEL_URL": proxy.url(""), "SENTINEL_APP": "a", "SENTINEL_KEY": "k"}

        done = alone("run", 1)

    assert (done.returncode, len(proxy.got)) == (ExitCode.UNREACHABLE, 1)
    assert "not as Sentinel does" in one_line(done.stderr)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1", "127.0.0.1", "http://[::1"])
def test_what_is_no_address_is_a_mistake_of_whoever_set_it(alone: Sentinel, address: str) -> None:
    alone.env = {"SENTINEL_URL": address, "SENTINEL_APP": "a", "SENTINEL_KEY": "k"}

    done = alone("run", 1)

    assert done.returncode == ExitCode.USAGE
    assert "is no http or https address" in one_line(done.stderr)


def test_a_key_of_the_wrong_kind_never_shows(sentinel: Sentinel) -> None:
    sentinel.extra = {"SENTINEL_KEY": "secret-word", "SENTINEL_DEBUG": "1"}

    done = sentinel("list")

    assert done.returncode == ExitCode.REFUSED
    assert "secret-word" not in done.stdout + done.stderr


# -- contexts --------------------------------------------------------------------------------------


def test_contexts_are_kept_in_a_private_file(service: Service, alone: Sentinel) -> None:
    key = service.env["SENTINEL_KEY"]
    for name in ("one", "two"):
        made = alone(
            "context", "add", name, "--url", service.url, "--app", "mine", stdin=f"{key}\n"
        )
        assert made.returncode == ExitCode.DONE, made.stderr
    assert alone("context", "use", "two").returncode == ExitCode.DONE

    listed = alone("context", "list", "-o", "json")
    path = alone.home / ".config" / "sentinel" / "contexts.json"

    assert [each["isCurrent"] for each in json.loads(listed.stdout)] == [False, True]
    assert key not in listed.stdout
    assert path.stat().st_mode & 0o777 == 0o600
    assert alone("list").returncode == ExitCode.DONE
    assert alone("--context", "one", "list").returncode == ExitCode.DONE
    assert alone("context", "remove", "two").returncode == ExitCode.DONE
    assert "whom shall I call" in one_line(alone("list").stderr)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_with_a_key_that_others_can_read_is_not_used(alone: Sentinel, mode: int) -> None:
    path = alone.home / "contexts.json"
    path.write_text('{"current": "x", "contexts": {}}')
    path.chmod(mode)
    alone.extra = {"SENTINEL_CONTEXTS": str(path)}

    done = alone("list")

    assert done.returncode == ExitCode.USAGE
    assert one_line(done.stderr).endswith(f"chmod 600 {path}")


@pytest.mark.parametrize("text", ["", "[]", '{"contexts": {"x": {"url": "u"}}}', "\x00"])
def test_a_broken_file_of_contexts_is_named(alone: Sentinel, text: str) -> None:
    path = alone.home / "contexts.json"
    path.touch(mode=0o600)
    path.write_text(text)
    alone.extra = {"SENTINEL_CONTEXTS": str(path)}

    assert str(path) in one_line(alone("list").stderr)


def test_half_an_environment_is_told(alone: Sentinel) -> None:
    alone.env = {"SENTINEL_URL": "http://127.0.0.1:9"}

    assert one_line(alone("list").stderr) == "SENTINEL_APP and SENTINEL_KEY must be set too"


def test_the_demos_file_is_used_where_nothing_else_is_known(
    service: Service, alone: Sentinel
) -> None:
    path = alone.home / "credentials.json"
    app = {"name": service.app.name, "key": service.env["SENTINEL_KEY"]}
    path.touch(mode=0o600)
    path.write_text(json.dumps({"url": service.url, "app": app}))

    assert alone("list").returncode == ExitCode.DONE
