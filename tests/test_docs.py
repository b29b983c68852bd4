"""The documents say what is so: examples run, diagrams and tables are those of the code."""

from __future__ import annotations

import ast
import importlib
import itertools
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from enum import Enum
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command, get_commands
from django.db import connection, models
from pytest_django.live_server_helper import LiveServer
from pytest_django.plugin import DjangoDbBlocker

from tasks_app import transitions
from tasks_app.rules.states import ALLOWED, ALLOWED_ATTEMPT
from tests.builders import KEY, make_app
from tests.engine import rehearse
from tests.unit.test_wire_docs import TAIL, endpoints

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("sentinel_project", "jobs", "tasks_app", "logs_app")
PAGES = {path.relative_to(ROOT): path.read_text() for path in sorted(ROOT.glob("*.md"))} | {
    path.relative_to(ROOT): path.read_text() for path in sorted(ROOT.glob("docs/**/*.md"))
}
README = PAGES[Path("README.md")]
WALK = PAGES[Path("docs/walk.md")]
GLOSSARY = PAGES[Path("docs/glossary.md")]
OPERATIONS = PAGES[Path("docs/operations.md")]
REHEARSE = PAGES[Path("docs/rehearse.md")]

FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def fences(page: str, kind: str) -> list[str]:
    return [found["text"] for found in FENCE.finditer(page) if found["kind"] == kind]


def pairs(page: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield each fence with the one behind it: kind and text of both."""
    found = list(FENCE.finditer(page))
    for one, other in itertools.pairwise(found):
        yield one["kind"], one["text"], other["kind"], other["text"]


# -- examples --------------------------------------------------------------------------------------

REHEARSALS = [
    (told, other, answer)
    for kind, told, other, answer in pairs(REHEARSE)
    if kind == "json simulate"
]
REHEARSALS += [
    (re.sub(r"\A.*?<<'EOF'\n(.*?)EOF\n.*\Z", r"\1", told, flags=re.DOTALL), other, answer)
    for kind, told, other, answer in pairs(README)
    if kind == "sh" and "simulate" in told and other == "text"
]
COLUMNS = ("id", "kind", "status", "reason", "opened", "started", "ended")


@pytest.mark.parametrize(("told", "kind", "answer"), REHEARSALS)
def test_a_rehearsal_comes_out_as_printed(
    told: str, kind: str, answer: str, django_db_blocker: DjangoDbBlocker
) -> None:
    with django_db_blocker.unblock():
        report = rehearse(json.loads(told))

    if kind == "json answer":
        assert json.loads(answer) in [gate for a in report["answers"] for gate in a["gates"]]
    else:
        assert [line.split() for line in answer.splitlines()] == table_of(report)


def table_of(report: Mapping[str, Any]) -> list[list[str]]:
    """Return the words of the lines that ``simulate --pretty`` prints."""
    rows = [" ".join(str(task[name] or "") for name in COLUMNS) for task in report["tasks"]]
    rows += [f"gap: {json.dumps(gap)}" for gap in report["gaps"]]
    rows += [f"refused: {json.dumps(refusal)}" for refusal in report["refused"]]
    return [list(COLUMNS), *(row.split() for row in rows)]


PREVIEWS = [
    (command, answer)
    for page in (README, REHEARSE)
    for kind, command, other, answer in pairs(page)
    if kind == "sh" and other == "json" and "manage.py preview" in command
]


@pytest.mark.parametrize(("command", "answer"), PREVIEWS)
def test_a_preview_answers_as_printed(command: str, answer: str) -> None:
    words = shlex.split(command)
    printed = StringIO()

    call_command("preview", *words[words.index("preview") + 1 :], stdout=printed)

    assert json.loads(printed.getvalue()) == json.loads(answer)


@pytest.fixture
def demo(
    committed_db: None, live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> LiveServer:
    """A web process with the demo's app, and a directory that has the demo's credentials."""
    app = make_app(name="demo")
    (tmp_path / "run").mkdir()
    credentials = {"url": live_server.url, "app": {"name": app.name, "key": KEY}}
    (tmp_path / "run" / "credentials.json").write_text(json.dumps(credentials, indent=2) + "\n")
    monkeypatch.chdir(tmp_path)
    return live_server


def test_the_python_of_the_readme_calls_the_api(demo: LiveServer) -> None:
    names: dict[str, Any] = {}
    exec(fences(README, "python")[0], names)

    made = names["call"]("job/submit", jobName="x", jobType="shell", content="true", isTemp=True)

    assert names["call"]("job/query/status", jobId=made["jobId"])["jobId"] == made["jobId"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_shell_of_the_readme_calls_the_api(demo: LiveServer) -> None:
    function, *_ = (text for text in fences(README, "sh") if text.startswith("key="))
    calls = "".join(text for text in fences(README, "sh") if text.startswith("call job/submit"))
    script = function.replace("http://127.0.0.1:8000", demo.url) + calls

    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)

    codes = [json.loads(line)["code"] for line in done.stdout.splitlines()]
    assert codes[0] == 0, done.stdout
    assert len(codes) == 3


@pytest.mark.django_db
@pytest.mark.parametrize("query", fences(OPERATIONS, "sql"))
def test_a_query_of_the_operations_page_runs(query: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query.replace("%", "%%").rstrip().rstrip(";"))
        assert cursor.description


# -- diagrams and tables ---------------------------------------------------------------------------

EDGE = re.compile(r"^\s+(\w+) --> (\w+): (.+)$", re.MULTILINE)


@pytest.mark.parametrize(("number", "allowed"), [(0, ALLOWED), (1, ALLOWED_ATTEMPT)])
def test_a_state_diagram_shows_every_edge_and_no_other(
    number: int, allowed: Mapping[Any, frozenset[Any]]
) -> None:
    drawn = [(source, target) for source, target, _ in EDGE.findall(diagram(number))]

    assert sorted(drawn) == sorted(
        (source.name, target.name) for source, targets in allowed.items() for target in targets
    )


@pytest.mark.parametrize("number", [0, 1])
def test_the_words_on_the_arrows_are_transitions(number: int) -> None:
    arrows = re.findall(r"^\s+\S+ --> \S+: (.+)$", diagram(number), re.MULTILINE)

    assert {verb for words in arrows for verb in words.split(", ")} <= set(transitions.__all__)


def diagram(number: int) -> str:
    return fences(WALK, "mermaid")[number]


VARIABLE = re.compile(r"SENTINEL_[A-Z_]*[A-Z]")


def variables_in_code() -> set[str]:
    """Return the environment's names that the product reads or writes: its own text constants."""
    return {
        node.value
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and VARIABLE.fullmatch(node.value)
    }


def test_every_variable_is_in_a_table_once() -> None:
    rows = re.findall(r"^\| `(SENTINEL_\w+)` \|", section("Settings"), re.MULTILINE)

    assert sorted(rows) == sorted(variables_in_code())


def test_defaults_of_settings_are_those_of_the_code() -> None:
    told = dict(
        re.findall(r"^\| `(SENTINEL_\w+)` \| `([^`]+)` \|", section("Settings"), re.MULTILINE)
    )

    for name, default in defaults_in_code().items():
        assert told.get(name) == default, name


def defaults_in_code() -> dict[str, str]:
    """Return the defaults of the typed readers in the settings, where they are plain values."""
    found = {}
    tree = ast.parse((ROOT / "sentinel_project" / "settings.py").read_text())
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="env"), attr="number" | "text" | "words"),
                args=[ast.Constant(value=str(name)), default],
            ):
                value = eval(compile(ast.Expression(default), "", "eval"), {})
                found[name] = ",".join(value) if isinstance(value, tuple) else str(value)
            case _:
                continue
    return found


def section(heading: str) -> str:
    """Return the text of the operations page below ``heading`` up to the next one."""
    found = re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/operations.md has no section {heading}"
    return found[1]


# -- names -----------------------------------------------------------------------------------------


def test_the_modules_and_functions_of_the_walk_exist() -> None:
    named = set(re.findall(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`", WALK))

    assert len(named) > 20
    assert [name for name in sorted(named) if not is_there(name)] == []


def is_there(dotted: str) -> bool:
    """Tell whether ``dotted`` is a module or something in one."""
    try:
        importlib.import_module(dotted)
    except ModuleNotFoundError:
        module, _, name = dotted.rpartition(".")
        return "." in dotted and hasattr(importlib.import_module(module), name)
    return True


HOMES = (
    "jobs.models",
    "jobs.endpoint",
    "jobs.rules.enums",
    "jobs.rules.spec",
    "logs_app.store",
    "sentinel_project.wire.token",
    "tasks_app.models",
    "tasks_app.rules.states",
)


def test_the_python_names_of_the_glossary_exist() -> None:
    rows = [line.split(" | ") for line in GLOSSARY.splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"`([A-Z]\w*[a-z]\w*(?:\.\w+)?)`", row[1])}

    assert len(named) > 40
    assert [name for name in sorted(named) if not is_a_word(name)] == []


def is_a_word(name: str) -> bool:
    owner, _, part = name.partition(".")
    classes = [getattr(importlib.import_module(home), owner, None) for home in HOMES]
    return any(has_part(found, part) for found in classes if isinstance(found, type))


def has_part(found: type, part: str) -> bool:
    if not part:
        return True
    if issubclass(found, models.Model):
        return part in {field.name for field in found._meta.get_fields()}
    if issubclass(found, Enum):
        return part in found.__members__
    return part in found.__dataclass_fields__ if hasattr(found, "__dataclass_fields__") else False


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_names_commands_targets_and_addresses_that_exist(page: Path) -> None:
    text = PAGES[page]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= set(get_commands())
    assert set(re.findall(r"(?:`|^|\s)make ([a-z-]+)(?:`|$)", text, re.MULTILINE)) <= targets
    assert set(re.findall(r"`(/api/\w+(?:/\w+)+)`", text)) <= {*endpoints(), TAIL}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", FENCE.sub("", PAGES[page]))

    assert [link for link in links if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    address, _, anchor = link.partition("#")
    target = (ROOT / page).parent / address if address else ROOT / page
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text())


def anchors(text: str) -> set[str]:
    """Return the anchors that headings get: lower case, without signs, hyphens for blanks."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


DECISIONS = [page for page in PAGES if page.parent.name == "adr"]


@pytest.mark.parametrize("page", DECISIONS, ids=str)
def test_a_decision_is_a_sentence_a_context_and_a_cost(page: Path) -> None:
    text = PAGES[page]

    assert re.fullmatch(r"\d{4}-[a-z0-9-]+", page.stem)
    assert [f"**{part}.**" in text for part in ("Context", "Decision", "Cost")] == [True] * 3
    assert len(text.splitlines()) <= 40


def test_no_two_decisions_share_a_number() -> None:
    numbers = [page.name[:4] for page in DECISIONS]

    assert len(numbers) == len(set(numbers))
