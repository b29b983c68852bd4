"""The programs of docs/wire.md do what they say, each against a web process that listens."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from jobs.models import App, Job
from jobs.rules.enums import JobStatus
from tasks_app.rules.states import TaskStatus
from tests.builders import KEY, make_app, make_task

PAGE = (Path(__file__).parents[1] / "docs" / "wire.md").read_text()
HERE = "http://127.0.0.1:8000"
#: Language, what runs it, and the file it must be in.
PROGRAMS = [("sh", ["sh"], "call.sh"), ("java", ["java"], "Call.java"), ("js", ["node"], "call.js")]


def programs(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def app(committed_db: None) -> App:
    """The app of the examples, whose only task is 1 and READY."""
    demo = make_app(name="demo")
    make_task(pk=1, job__app=demo)
    return demo


def run(command: list[str], program: str, path: Path) -> str:
    path.write_text(program)
    done = subprocess.run(
        [*command, str(path)], capture_output=True, text=True, timeout=90, cwd=path.parent
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("kind", "command", "name"), PROGRAMS)
def test_a_program_asks_how_a_task_stands(
    kind: str, command: list[str], name: str, app: App, live_server: LiveServer, tmp_path: Path
) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    (program,) = programs(kind)
    assert HERE in program
    assert KEY in program

    answer = json.loads(run(command, program.replace(HERE, live_server.url), tmp_path / name))

    data: Any = answer["data"]
    told = json.loads(data) if isinstance(data, str) else data
    assert (answer["code"], told["taskId"], told["status"]) == (0, 1, TaskStatus.READY)


def test_the_life_of_a_daily_job_goes_as_told(
    app: App, live_server: LiveServer, tmp_path: Path
) -> None:
    call, *_, life = programs("python")
    setting = f'URL, APP, KEY = "{live_server.url}", "demo", "{KEY}"\n'

    run([sys.executable], call + setting + life, tmp_path / "life.py")

    statuses = dict(Job.objects.filter(name__in=["load", "report"]).values_list("name", "status"))
    assert statuses == dict.fromkeys(("load", "report"), JobStatus.TRASHED)
