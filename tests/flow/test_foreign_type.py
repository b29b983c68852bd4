"""A package that Sentinel knows nothing of adds jobTypes by its entry points alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine import database_url

TYPES = """
from tasks_app.executors import params
from tasks_app.executors.base import Ending, Outcome
from tasks_app.executors.jobtype import JobType

def greet(execution, output, stop):
    output.result(f"{execution.content}, {execution.extra['name']}\\n".encode())
    return Outcome(Ending.SUCCESS)

def bare(execution, output, stop):
    output.log(repr(dict(execution.extra)).encode())
    return Outcome(Ending.FAILED, 7, "OWN", "said by itself")

TYPE = JobType(execute=greet, params={"name": params.text(is_needed=True)})
NOTHING = 1
"""
ENTRY_POINTS = """
[sentinel.executors]
greet = greeter:TYPE
bare = greeter:bare
broken = greeter:NOTHING
gone = greeter:GONE
shell = greeter:bare
"""
PROGRAM = """
import json, sys
import django
django.setup()
from django.db import transaction
from jobs.models import App
from jobs.rules.spec import JobSpec
from jobs.services import submit_job
from sentinel_project import clock
from sentinel_project.errors import InvalidParameters
from tasks_app.executors import JOB_TYPES, job_types, shell
from tests.builders import make_app
from tests.flow.runs import run

app = make_app(name="foreign")
def submitted(job_type, content, **extra):
    name = f"{job_type} {sorted(extra)}"
    spec = JobSpec(name=name, job_type=job_type, content=content, extra=extra)
    with transaction.atomic():
        return submit_job(spec, app=app, user="ann", now=clock.now())

greeted = run(submitted("greet", "hello $YTD(yyyy)", name="größer"))
bared = run(submitted("bare", "x", anything=[1]))
try:
    submitted("greet", "hello", nome="x")
except InvalidParameters as error:
    refused = list(error.problems)
print(json.dumps({
    "types": job_types(),
    "greeted": [greeted.ending, greeted.result],
    "bared": [bared.ending, bared.log, bared.task.reason_text],
    "refused": refused,
    "shell is ours": JOB_TYPES["shell"] is shell.TYPE,
}))
"""


@pytest.mark.usefixtures("committed_db")
def test_a_type_of_another_package_is_submitted_judged_and_run(tmp_path: Path) -> None:
    (tmp_path / "greeter.py").write_text(TYPES)
    info = tmp_path / "greeter-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    root = Path(__file__).parents[2]
    env = os.environ | {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "SENTINEL_DATABASE_URL": database_url(),
    }

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, cwd=root, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr.decode()
    said = json.loads(done.stdout)
    assert {"greet", "bare", "shell"} <= set(said["types"])
    assert not {"broken", "gone"} & set(said["types"])
    assert said["greeted"] == [["SUCCESS", ""], "hello 2026, größer\n"]
    assert said["bared"] == [["FAILED", "OWN"], "{'anything': [1]}", "said by itself"]
    assert [problem.split(":")[0] for problem in said["refused"]] == ["params.name", "params.nome"]
    assert said["shell is ours"]
    assert b"executor.broken" in done.stderr
