"""``make up``: one command starts everything, its printed commands work, and nothing stays."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flow.executions import eventually, living
from tests.flow.processes import READY, ROOT, Installation
from tests.flow.web_receiver import Receiver, receiving

pytestmark = [pytest.mark.xdist_group("up"), pytest.mark.timeout(240)]

FIRST = "# 1. submit"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    run_dir = tmp_path_factory.mktemp("up") / "run"
    installation = Installation(run_dir, SENTINEL_CALLBACK_ALLOW_PRIVATE="1")
    with installation.running():
        yield installation


def pasted(installation: Installation) -> str:
    """Return what a user would copy from the terminal."""
    output = installation.output
    return output[output.index(FIRST) : output.index(READY)]


def unheard_of() -> str:
    """Return a number of seconds that no other process of this machine sleeps for."""
    return f"3{secrets.randbelow(10**8):08}"


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_printed_commands_work_as_pasted(demo: Installation, shell: str) -> None:
    submit, ask, read = pasted(demo).split("\n\n")[:3]
    # A person needs a moment between pasting the one and the other; a script asks again.
    script = f"{submit}\nfor _ in 1 2 3 4 5 6 7 8 9; do\n{ask}\nsleep 0.5\ndone\n{read}"
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert r"\"status\":4" in done.stdout
    assert r"\"log\":\"hello\\n\"" in done.stdout
    assert r"\"isEnd\":true" in done.stdout


def test_credentials_are_readable_by_their_owner_alone(demo: Installation) -> None:
    mode = stat.S_IMODE((demo.run_dir / "credentials.json").stat().st_mode)

    assert mode == 0o600
    assert set(demo.credentials) == {"url", "app", "admin"}
    assert set(demo.credentials["app"]) == {"name", "key"}
    assert set(demo.credentials["admin"]) == {"user", "password"}


def test_no_log_has_a_key_or_a_password_in_it(demo: Installation) -> None:
    logs = "".join(path.read_text() for path in (demo.run_dir / "log").iterdir())

    assert logs
    assert demo.credentials["app"]["key"] not in logs
    assert demo.credentials["admin"]["password"] not in logs


def test_every_part_is_well_and_the_doctor_says_so(demo: Installation) -> None:
    doctor = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=ROOT,
        env=demo.env,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert doctor.returncode == 0, doctor.stdout
    assert "ok      worker:default" in doctor.stdout
    assert "WRONG" not in doctor.stdout


def test_the_command_line_calls_the_demo_and_exits_as_the_run_ended(demo: Installation) -> None:
    def sentinel(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sentinel_project.client.cli", *words]
        return subprocess.run(
            command, cwd=ROOT, env=demo.env, capture_output=True, text=True, timeout=90
        )

    good = sentinel("submit", "cli good", "-c", "echo Grüße", "--wait", "-o", "json")
    bad = sentinel("submit", "cli bad", "-c", "echo oops >&2; exit 3", "--wait")

    assert good.returncode == 0, good.stderr
    assert sentinel("result", str(json.loads(good.stdout)["taskId"])).stdout == "Grüße\n"
    assert (bad.returncode, bad.stderr) == (10, "")


def test_a_callback_is_told_how_a_run_went(demo: Installation) -> None:
    with receiving() as receiver:
        job_id = demo.submit("true", callbackUrl=receiver.url())

        assert eventually(lambda: 4 in [each["status"] for each in told(receiver)], within=60)

    assert {each["jobId"] for each in told(receiver)} == {job_id}


def told(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(got.body) for got in receiver.got]


def test_flower_asks_for_the_password(demo: Installation) -> None:
    admin = demo.credentials["admin"]

    assert asked_of_flower(demo) == "401"
    assert asked_of_flower(demo, "-u", f"{admin['user']}:{admin['password']}") == "200"


def asked_of_flower(installation: Installation, *options: str) -> str:
    """Return the status that Flower answers; "000": it does not."""
    url = f"http://127.0.0.1:{installation.env['SENTINEL_FLOWER_PORT']}/api/workers"
    command = ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", *options, url]
    return subprocess.run(command, capture_output=True, text=True).stdout


def test_a_second_start_in_the_same_directory_is_refused(demo: Installation) -> None:
    again = Installation(demo.run_dir)
    again.outputs = 100
    process = again.start()

    assert process.wait(60) == 1
    assert f"already runs from {demo.run_dir}" in again.output


@pytest.mark.parametrize("variable", ["SENTINEL_WEB_PORT", "SENTINEL_FLOWER_PORT"])
def test_a_taken_port_is_named_with_its_variable(tmp_path: Path, variable: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        installation = Installation(tmp_path / "run", **{variable: str(port)})
        process = installation.start()

        assert process.wait(60) == 1
    assert f"Port {port} is taken; choose another: {variable}={port + 1}" in installation.output
    assert installation.output.count("\n") == 1


@pytest.mark.parametrize("words", [("gunicorn",), ("worker",), ("beat",), ("flower",)])
def test_a_part_that_crashes_is_started_again(demo: Installation, words: tuple[str, ...]) -> None:
    before = demo.part(*words)
    before.send_signal(signal.SIGKILL)

    def is_back() -> bool:
        try:
            is_new = demo.part(*words).pid != before.pid
        except LookupError:
            return False
        return is_new and demo.answers() and asked_of_flower(demo) == "401"

    assert eventually(is_back, within=30)
    assert "ended with signal SIGKILL; starting it again in" in demo.output
    assert demo.ends(demo.submit("true"), 4, within=60)


def test_a_stop_leaves_nothing_and_the_next_start_finds_the_data(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "run")
    with installation.running() as process:
        job_id = installation.submit("echo kept")
        assert installation.ends(job_id, 4)
        seconds = unheard_of()
        hanging = installation.submit(f"sleep {seconds} & sleep {seconds}")
        assert eventually(lambda: len(living(seconds)) == 2)
        key = installation.credentials["app"]["key"]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert installation.members() == []
        assert living(seconds) == []

    with installation.running():
        assert key not in installation.output
        assert installation.credentials["app"]["key"] == key
        assert installation.status(job_id) == 4
        # It was handed back at the stop, and runs again.
        assert eventually(lambda: len(living(seconds)) == 2, within=30)
        installation.call("/api/task/kill", taskIds=[installation.tasks(hanging)[0]["taskId"]])
        assert installation.ends(hanging, 6)


def test_killing_the_supervisor_leaves_nothing(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "run")
    with installation.running() as process:
        seconds = unheard_of()
        installation.submit(f"sleep {seconds} & sleep {seconds}")
        assert eventually(lambda: len(living(seconds)) == 2)
        process.send_signal(signal.SIGKILL)
        process.wait(10)

        assert eventually(lambda: installation.members() == [], within=30)
        assert eventually(lambda: living(seconds) == [], within=30)
