"""docs/cli.md says what is so: its commands, its exit codes, its examples."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
from typing import Any

import typer

from jobs.models import Job
from sentinel_project.client import launcher
from sentinel_project.client.cli.exits import ExitCode
from sentinel_project.client.cli.main import program
from tests.builders import KEY
from tests.client.conftest import ROOT, Sentinel, Service
from tests.test_docs import fences

PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_exit_codes_is_the_codes() -> None:
    told = [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)]

    assert told == sorted(ExitCode)


def test_the_table_of_commands_is_the_program() -> None:
    table = PAGE[PAGE.index("| Command |") : PAGE.index("A job is named by")]
    told = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`([a-z]+)`", row)
    }

    assert told == set(typer.main.get_command(program).commands)  # type: ignore[attr-defined]


def test_the_examples_of_the_shell_run(sentinel: Sentinel, service: Service) -> None:
    launcher.write(sentinel.home / "sentinel")
    shell = fences(PAGE, "sh")[0]
    readme = [text for text in fences(README, "sh") if text.startswith("sentinel ")]
    script = "set -e\n" + shell.replace("2026-03-02T05:00:00+08:00", "+2h")
    sentinel.extra = {"PATH": f"{sentinel.home}{os.pathsep}{os.environ['PATH']}"}

    done = sentinel.program(shutil.which("sh") or "sh", "-c", script)

    assert done.returncode == 0, done.stderr
    assert sorted(Job.objects.values_list("name", flat=True)) == ["extract", "hello", "report"]
    assert len(readme) == 1


def test_the_document_applies_and_the_python_runs(sentinel: Sentinel, service: Service) -> None:
    applied = sentinel("apply", "-f", "-", stdin=fences(PAGE, "yaml")[0])
    assert applied.returncode == 0, applied.stderr
    names: dict[str, Any] = {"url": service.url, "app": service.app.name, "key": KEY}

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(fences(PAGE, "python")[0], names)

    assert {"hello", "extract", "report"} <= set(re.findall(r"^\w+", printed.getvalue(), re.M))
