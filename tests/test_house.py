"""What the house asks of every module and the linters cannot see (4-house.md 1 and 3)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks_app.rules.states import Reason

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("sentinel_project", "jobs", "tasks_app", "logs_app")
MODULES = sorted(
    path.relative_to(ROOT)
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if "migrations" not in path.parts
)
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter", "time_ns"}
CLOCK_OWNERS = {"datetime", "date", "time", "timezone"}


def tree_of(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def functions_of(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_holds_one_idea(path: Path) -> None:
    lines = (ROOT / path).read_text(encoding="utf-8").count("\n")

    assert lines <= 300, f"{path} has {lines} lines: which second idea does it hold?"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for node in functions_of(tree_of(path))
        if (node.end_lineno or node.lineno) - node.lineno + 1 > 40
    ]

    assert long == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_says_what_it_is(path: Path) -> None:
    tree = tree_of(path)

    assert not tree.body or ast.get_docstring(tree), f"{path} has no docstring"


#: The clock, and what runs in a process of its own that imports nothing of ours.
OWN_CLOCKS = {Path("sentinel_project/clock.py"), Path("tasks_app/guard/init.py")}


@pytest.mark.parametrize("path", [p for p in MODULES if p not in OWN_CLOCKS], ids=str)
def test_only_the_clock_reads_the_clock(path: Path) -> None:
    reads = [
        f"{path}:{node.lineno} {ast.unparse(node)}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
        and ast.unparse(node.func.value).rsplit(".", 1)[-1] in CLOCK_OWNERS
    ]

    assert reads == []


TASK_MODULES = [
    path
    for path in MODULES
    if path.parts[0] in {"tasks_app", "jobs"} and path.parts[:2] != ("tasks_app", "transitions")
]
#: The rows of jobs have a status too; this is who writes it.
JOB_STATUS_WRITERS = {Path("jobs/services/status.py"), Path("jobs/services/submit.py")}
WRITES = {"update", "create", "bulk_create", "bulk_update", "get_or_create", "update_or_create"}


def status_writes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield assignments to ``.status`` and calls that write rows with a ``status``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr == "status":
                    yield node.lineno, ast.unparse(node)
        if isinstance(node, ast.Call):
            name = (
                node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            )
            named = any(keyword.arg == "status" for keyword in node.keywords)
            if named and name in WRITES | {"Task", "Attempt"}:
                yield node.lineno, ast.unparse(node)
            if name == "write" and '"status"' in ast.unparse(node).replace("'", '"'):
                yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize("path", TASK_MODULES, ids=str)
def test_only_the_transitions_write_a_status(path: Path) -> None:
    """X-1."""
    writes = [f"{path}:{line} {code}" for line, code in status_writes(tree_of(path))]

    assert writes == [] or path in JOB_STATUS_WRITERS, writes


def test_the_transitions_do_write_statuses() -> None:
    """The rule above would hold of a house in which nothing happens."""
    written = [
        line
        for path in (ROOT / "tasks_app" / "transitions").glob("*.py")
        for line in status_writes(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert written


#: Where an outcome's machine-readable reason stands in a call.
REASON_AT = {"failed": 0, "Outcome": 2}


def reasons_given(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in REASON_AT:
            reason = node.args[REASON_AT[ast.unparse(node.func)] :][:1]
            yield from (r.value for r in reason if isinstance(r, ast.Constant) and r.value)  # type: ignore[misc]


def test_every_reason_that_a_run_ends_with_is_known_and_explained() -> None:
    """Whoever reads a reason must be able to look it up."""
    runs = [path for path in MODULES if path.parts[:2] == ("tasks_app", "executors")]
    given = {
        reason
        for path in (*runs, Path("tasks_app/runner.py"))
        for reason in reasons_given(tree_of(path))
    } - {"FENCED"}  # never written: the attempt is not ours any more
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

    assert given
    assert {reason for reason in given if reason not in Reason.__members__} == set()
    assert {reason for reason in given if f"`{reason}`" not in operations} == set()


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_lock_holds_up_the_foreign_keys_of_others(path: Path) -> None:
    """ADR 0070."""
    locks = [
        f"{path}:{node.lineno} {ast.unparse(node)}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "select_for_update"
        and not any(keyword.arg == "no_key" for keyword in node.keywords)
    ]

    assert locks == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_nothing_is_left_for_later(path: Path) -> None:
    words = ("TODO", "FIXME", "XXX", "HACK")
    text = (ROOT / path).read_text(encoding="utf-8")

    assert [word for word in words if word in text] == []


def test_the_top_level_is_the_agreed_one() -> None:
    agreed = {
        *PACKAGES,
        ".ci",
        ".dockerignore",
        ".gitignore",
        "CHANGELOG.md",
        "Dockerfile",
        "Makefile",
        "README.md",
        "bench",
        "docker-compose.yml",
        "docs",
        "manage.py",
        "pyproject.toml",
        "requirements-dev.lock",
        "requirements.lock",
        "tests",
    }
    ignored = {".git", ".venv", ".venv-hive", "run", "uv.lock"}
    found = {
        path.name
        for path in ROOT.iterdir()
        if path.name not in ignored
        and not path.name.endswith("_cache")
        and path.name != ".hypothesis"
    }

    assert found == agreed
