"""What a shell job sees, prints and ends with, in both containments (X-20, X-22, X-30, X-32)."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from pathlib import Path

import pytest

from sentinel_project.clock import monotonic
from tasks_app.executors.base import Ending, Outcome, Stop, StopReason
from tasks_app.executors.process import run_command
from tests.flow.executions import (
    CONTAINMENTS,
    Kept,
    Run,
    contain_by,
    eventually,
    make_execution,
    new_marker,
)


@pytest.fixture(params=CONTAINMENTS, autouse=True)
def containment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    return contain_by(request.param, monkeypatch)


def run(content: str, root: Path, **changes: object) -> tuple[Outcome, Kept]:
    finished = Run(make_execution(content, root=root, **changes))
    return finished.outcome(), finished.kept


def test_every_byte_is_kept_as_it_was_printed(tmp_path: Path) -> None:
    octal = "".join(f"\\{number:03o}" for number in range(256))

    outcome, kept = run(f"printf '{octal}'", tmp_path)

    assert outcome.ending is Ending.SUCCESS
    assert kept.result_bytes == bytes(range(256))


def test_the_two_streams_are_kept_apart(tmp_path: Path) -> None:
    _, kept = run("echo out; echo err >&2", tmp_path)

    assert (kept.result_bytes, kept.log_bytes) == (b"out\n", b"err\n")


def test_five_megabytes_arrive_whole(tmp_path: Path) -> None:
    size = 5 * 1024 * 1024

    _, kept = run(f"head -c {size} /dev/urandom > a; sha256sum < a >&2; cat a", tmp_path)

    assert len(kept.result_bytes) == size
    assert kept.log_bytes.split()[0].decode() == hashlib.sha256(kept.result_bytes).hexdigest()


def test_half_a_line_is_delivered_while_the_job_still_runs(tmp_path: Path) -> None:
    running = Run(
        make_execution("printf half; until [ -e go ]; do sleep 0.05; done", root=tmp_path)
    )

    arrived = eventually(lambda: running.kept.result_bytes == b"half")
    was_running = not running.is_over()
    next(tmp_path.glob("task-*")).joinpath("go").touch()

    assert (arrived, was_running) == (True, True)
    assert running.outcome().ending is Ending.SUCCESS


@pytest.mark.parametrize("code", [1, 3, 143, 255])
def test_an_exit_code_is_the_scripts_own(tmp_path: Path, code: int) -> None:
    outcome, _ = run(f"exit {code}", tmp_path)

    assert (outcome.ending, outcome.exit_code) == (Ending.FAILED, code)
    assert outcome.reason == "EXIT_CODE"


def test_a_failing_command_in_the_middle_does_not_end_the_script(tmp_path: Path) -> None:
    outcome, kept = run("false\necho $undefined on", tmp_path)

    assert outcome.ending is Ending.SUCCESS
    assert kept.result_bytes == b"on\n"


@pytest.mark.parametrize(("name", "code"), [("KILL", 137), ("SEGV", 139)])
def test_a_death_by_signal_is_told_from_an_exit_code(tmp_path: Path, name: str, code: int) -> None:
    outcome, _ = run(f"kill -{name} $$", tmp_path)

    assert (outcome.ending, outcome.exit_code) == (Ending.FAILED, code)
    assert (outcome.reason, outcome.message) == ("SIGNAL", f"Ended by SIG{name}.")


def test_a_command_that_does_not_exist_fails_to_spawn(tmp_path: Path) -> None:
    outcome = run_command(
        make_execution(root=tmp_path),
        ["no-such-command-anywhere"],
        Kept(),
        Stop(),
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
    )

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "SPAWN_FAILED")
    assert "No such file" in outcome.message


def test_a_missing_directory_fails_to_spawn(tmp_path: Path) -> None:
    outcome = run_command(
        make_execution(root=tmp_path), ["true"], Kept(), Stop(), env={}, cwd=tmp_path / "none"
    )

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "SPAWN_FAILED")


def test_the_workers_secrets_do_not_reach_the_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_SECRET_KEY", "the-secret")
    monkeypatch.setenv("DATABASE_URL", "the-secret")

    _, kept = run("env -0; cat /proc/self/environ /proc/$PPID/environ", tmp_path)

    assert b"SENTINEL_TASK_ID=11\0" in kept.result_bytes
    assert b"the-secret" not in kept.result_bytes


def test_content_is_told_which_run_it_is(tmp_path: Path) -> None:
    script = (
        "echo $SENTINEL_JOB_ID $SENTINEL_TASK_ID $SENTINEL_ATTEMPT_ID $SENTINEL_FENCE"
        " $SENTINEL_SCHEDULE_TIME $SENTINEL_DATA_TIME"
    )

    _, kept = run(script, tmp_path)

    times = b"2026-03-14T09:30:00+08:00 2026-03-13T09:30:00+08:00"
    assert kept.result_bytes == b"7 11 2 5 " + times + b"\n"


def test_scalar_params_arrive_under_their_names_and_are_never_evaluated(tmp_path: Path) -> None:
    extra = {"day": "$(touch hit); `touch hit`", "is_full": True, "size": 1.5, "tables": ["a"]}

    _, kept = run('echo "$day|$is_full|$size|${tables-unset}"; ls', tmp_path, extra=extra)

    expected = "$(touch hit); `touch hit`|true|1.5|unset\ncontent.sh\n"
    assert kept.result_bytes.decode() == expected


def test_the_c_locale_of_a_job_brings_no_other_variable(tmp_path: Path) -> None:
    _, kept = run("env | grep -E '^(LANG|LC_)'", tmp_path, extra={"LANG": "C"})

    assert "LANG=C" in kept.result_bytes.decode().splitlines()
    assert b"LC_CTYPE=C.UTF-8" not in kept.result_bytes


def test_a_param_that_would_steer_the_shell_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    trace = tmp_path / "trace"

    outcome, kept = run(f"touch {trace}", tmp_path, extra={"BASH_ENV": "/tmp/x", "a-b": 1})

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "BAD_PARAMS")
    assert "BASH_ENV" in outcome.message
    assert "'a-b'" in outcome.message
    assert b"BASH_ENV" in kept.log_bytes
    assert not trace.exists()


def test_stdin_is_empty_the_session_its_own_and_no_core_is_dumped(tmp_path: Path) -> None:
    _, kept = run("cat; set -- $(cat /proc/$$/stat); echo $(($6 == $$)); ulimit -c", tmp_path)

    assert kept.result_bytes == b"1\n0\n"


def test_signals_that_the_worker_ignores_work_in_the_content(tmp_path: Path) -> None:
    _, kept = run(
        "for s in INT PIPE HUP QUIT; do (kill -$s $BASHPID; echo $s lives); done", tmp_path
    )

    assert kept.result_bytes == b""


def test_directory_and_content_are_private(tmp_path: Path) -> None:
    _, kept = run("stat -c %a . content.sh; pwd; echo $HOME; echo $TMPDIR", tmp_path)

    directory, file, *places = kept.result_bytes.decode().split()
    assert (directory, file) == ("700", "600")
    assert len(set(places)) == 1


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("touch a", id="success"),
        pytest.param("exit 1", id="failure"),
        pytest.param("mkdir -p a/b/c; touch a/b/c/d; chmod 0 a/b/c a/b a .", id="rights taken"),
        pytest.param("rm -rf $HOME", id="removed by itself"),
        pytest.param("ln -s / root", id="a link to elsewhere"),
        pytest.param("sleep 60", id="timeout"),
    ],
)
def test_the_directory_is_gone_afterwards(tmp_path: Path, content: str) -> None:
    root = tmp_path / "work"

    run(content, root, timeout=timedelta(seconds=1))

    assert list(root.iterdir()) == []
    assert Path("/etc/passwd").exists()


def test_content_that_is_no_text_is_refused(tmp_path: Path) -> None:
    outcome, _ = run("echo \ud800", tmp_path)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "BAD_CONTENT")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_root_is_refused_without_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENTINEL_ALLOW_ROOT")
    trace = tmp_path / "trace"

    outcome, _ = run(f"touch {trace}", tmp_path)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "ROOT_REFUSED")
    assert not trace.exists()


def test_a_run_stopped_before_its_start_does_not_start(tmp_path: Path) -> None:
    stop, trace = Stop(), tmp_path / "trace"
    stop.request(StopReason.KILL)

    outcome = run_command(
        make_execution(root=tmp_path), ["touch", str(trace)], Kept(), stop, env={}, cwd=tmp_path
    )

    assert outcome.ending is Ending.KILLED
    assert not trace.exists()


def test_a_background_child_that_holds_the_pipe_does_not_hold_the_run(tmp_path: Path) -> None:
    started = monotonic()

    outcome, kept = run(f"sleep {new_marker()} & echo done", tmp_path)

    assert outcome == Outcome(Ending.SUCCESS, 0, None, "Ended with exit code 0.")
    assert kept.result_bytes == b"done\n"
    assert b"ending them" in kept.log_bytes
    assert monotonic() - started < 10


def test_a_filter_that_ends_just_after_its_script_may_finish(tmp_path: Path) -> None:
    outcome, kept = run("exec > >(sleep 0.2; cat); echo through", tmp_path)

    assert outcome.ending is Ending.SUCCESS
    assert (kept.result_bytes, kept.log_bytes) == (b"through\n", b"")
