"""The program as a process of its own: exit codes, signals, pipes, completion, start-up."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from logs_app.models import StreamKind
from sentinel_project import clock
from sentinel_project.client.cli.exits import ExitCode
from tasks_app import transitions
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import AttemptStatus, TaskStatus
from tests.builders import make_job, make_output, make_task
from tests.client.conftest import Sentinel, Service
from tests.engine import run
from tests.flow.executions import eventually


def printing(service: Service, data: bytes, kind: StreamKind, *, is_closed: bool) -> Attempt:
    """Return the attempt of a running task that has printed ``data``."""
    task = make_task(TaskStatus.RUNNING, job=make_job(app=service.app), attempt_count=0)
    attempt = make_output(data, kind=kind, is_closed=is_closed, task=task)
    Task.objects.filter(pk=task.pk).update(attempt_count=1, fence=attempt.fence)
    return attempt


def test_submit_waits_for_the_run_and_exits_as_it_ended(
    sentinel: Sentinel, service: Service
) -> None:
    with sentinel.start("submit", "x", "-c", "exit 3", "--wait", "-o", "json") as process:
        assert eventually(Task.objects.exists, within=60)
        task = Task.objects.select_related("job__app", "worker_group").get()

        run(task, AttemptStatus.FAILED, now=task.opened_at)
        stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == ExitCode.TASK_FAILED, stderr
    assert json.loads(stdout)["taskId"] == task.pk
    assert stderr == "", "progress is for terminals"


def test_a_log_is_followed_to_the_end_of_the_task(sentinel: Sentinel, service: Service) -> None:
    attempt = printing(service, b"one\n", StreamKind.LOG, is_closed=False)
    with sentinel.start("log", "--follow", attempt.task_id) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "one\n"

        ending = transitions.Ending(
            status=AttemptStatus.SUCCESS, exit_code=0, reason="", text="it ended"
        )
        assert transitions.settle(attempt, ending, now=clock.now()) is not None
        process.communicate(timeout=60)

    assert process.returncode == ExitCode.DONE


def test_a_reader_that_has_enough_ends_the_program_quietly(
    sentinel: Sentinel, service: Service
) -> None:
    attempt = printing(service, b"x" * 1_000_000, StreamKind.RESULT, is_closed=True)
    with sentinel.start("result", attempt.task_id) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)

        process.stdout.close()

        assert process.stderr.read() == ""
        assert process.wait(60) == ExitCode.DONE


def test_an_interrupted_command_ends_without_a_word(sentinel: Sentinel, service: Service) -> None:
    attempt = printing(service, b"here\n", StreamKind.RESULT, is_closed=False)
    with sentinel.start("result", "-f", attempt.task_id) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"

        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)

    assert (process.returncode, stderr) == (ExitCode.INTERRUPTED, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands(alone: Sentinel, shell: str) -> None:
    words = {
        "COMP_WORDS": "sentinel tim",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "sentinel tim",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }

    alone.extra = {"_SENTINEL_COMPLETE": f"complete_{shell}", **words}

    assert "timeline" in alone.process().stdout


def test_help_needs_neither_the_web_nor_the_tables(alone: Sentinel) -> None:
    """What is slow to import waits until it is needed."""
    asked = (
        "import sys; from sentinel_project.client.cli.main import main; main(['--help']);"
        "print([m for m in ('httpx', 'rich.table', 'yaml', 'django') if m in sys.modules])"
    )
    done = alone.python("-c", asked)

    assert done.stdout.splitlines()[-1] == "[]"


def test_the_launcher_runs_the_checkout_from_anywhere(alone: Sentinel, tmp_path: Path) -> None:
    program = tmp_path / "a directory" / "sentinel"
    program.parent.mkdir()
    written = alone.python("-m", "sentinel_project.client.launcher", str(program))
    alone.extra = {"PYTHONPATH": ""}

    helped, refused = alone.program(str(program), "--help"), alone.program(str(program), "list")

    assert written.returncode == 0, written.stderr
    assert (helped.returncode, helped.stdout[:15]) == (0, "Usage: sentinel")
    assert (refused.returncode, refused.stdout) == (ExitCode.USAGE, "")
    assert refused.stderr.startswith("sentinel: whom shall I call?")
