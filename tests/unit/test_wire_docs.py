"""docs/wire.md says what the serializers do: every endpoint, field, range and default."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from jobs import outlook, throttle
from jobs.endpoint import Endpoint
from jobs.rules.enums import (
    AppKind,
    CommonStrategy,
    ContentType,
    Edit,
    ExpressionKind,
    JobStatus,
    MisfirePolicy,
    TokenForms,
)
from jobs.serializers import PreviewJobParams, RelationType, SubmitJobParams
from logs_app import store
from logs_app.serializers import FollowingParams
from sentinel_project.wire import body, fields, jsontext
from sentinel_project.wire.fields import InstantField, ListField
from sentinel_project.wire.params import Params
from tasks_app.rules.states import AttemptStatus, TaskKind, TaskStatus
from tasks_app.serializers import SystemSwitch
from tasks_app.services import reruns
from tasks_app.timeline import What

DOC = (Path(__file__).parents[2] / "docs" / "wire.md").read_text()
NEEDED = "needed"
#: Takes parameters as an endpoint does, and streams its answer.
TAIL = "/api/log/tail"


def endpoints() -> dict[str, type[Endpoint]]:
    """Return the views of all endpoints by their address."""
    return dict(_walk(get_resolver().url_patterns, "/"))


def _walk(patterns: Any, prefix: str) -> Iterator[tuple[str, type[Endpoint]]]:
    for pattern in patterns:
        address = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "view_class", None)
            if isinstance(view, type) and issubclass(view, Endpoint):
                yield address, view


def section(heading: str) -> str:
    """Return the text below ``heading`` up to the next heading."""
    found = re.search(
        rf"^#+ {re.escape(heading)}.*?\n(.*?)(?=^#|\Z)", DOC, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"docs/wire.md has no section {heading}"
    return found[1]


def table(heading: str) -> dict[str, tuple[str, str]]:
    """Return default and range by field from the table below ``heading``."""
    rows = (
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in section(heading).splitlines()
        if line.startswith("| `")
    )
    return {name.strip("`"): (default.strip("`"), accepts) for name, default, accepts, _ in rows}


def expected(params: type[Params]) -> dict[str, tuple[str, str]]:
    """Return the fields of ``params``; a preview adds its own to those of a submission."""
    inherited = SubmitJobParams().fields if params is PreviewJobParams else {}
    return {
        name: (default_of(params, field), accepts_of(field))
        for name, field in params().fields.items()
        if name not in inherited
    }


def default_of(params: type[Params], field: Any) -> str:
    if field.required:
        return NEEDED
    if isinstance(field, ListField):
        return "null"
    if not dataclasses.is_dataclass(params.builds):
        return "unchanged"
    (declared,) = [f for f in dataclasses.fields(params.builds) if f.name == field.source]
    has_factory = declared.default_factory is not dataclasses.MISSING
    value = declared.default_factory() if has_factory else declared.default  # type: ignore[misc]
    if value is None and not isinstance(field, InstantField):
        return "none"
    return json.dumps(field.to_representation(value))


def accepts_of(field: Any) -> str:
    return "a list" if isinstance(field, ListField) else str(field.accepts)


@pytest.mark.parametrize(("address", "view"), sorted(endpoints().items()), ids=str)
def test_every_endpoint_has_a_table_of_its_parameters(address: str, view: type[Endpoint]) -> None:
    assert table(f"`{address}`") == expected(view.params)


def test_following_a_log_has_a_table_of_its_parameters() -> None:
    assert table(f"`{TAIL}`") == expected(FollowingParams)


@pytest.mark.parametrize("name", ["dependencyList", "scheduleExpressionList"])
@pytest.mark.parametrize(("address", "place"), [("submit", ""), ("edit", " in an edit")])
def test_every_list_has_a_table_of_its_entries(name: str, address: str, place: str) -> None:
    listed = endpoints()[f"/api/job/{address}"].params().fields[name]
    assert isinstance(listed, ListField)
    entry = listed.child
    assert isinstance(entry, Params)

    assert table(f"Entries of `{name}`{place}") == expected(type(entry))


@pytest.mark.parametrize(("address", "view"), sorted(endpoints().items()), ids=str)
def test_every_endpoint_says_whether_it_answers_get(address: str, view: type[Endpoint]) -> None:
    methods = "GET, POST" if "get" in view.http_method_names else "POST"

    assert f"*{methods}*" in section(f"`{address}`")


def test_the_worked_example_is_in_the_words_of_a_shell_and_of_python() -> None:
    assert "1772600000c932fc5830b82026327c821a39e0b5df" in DOC
    assert "md5sum" in DOC
    assert "hashlib.md5" in DOC


def test_every_fact_of_a_timeline_is_explained() -> None:
    told = section("`/api/task/timeline`")
    listed = re.findall(r"^\| ([a-z_, ]+) \| ", told, re.MULTILINE)

    assert sorted(", ".join(listed).split(", ")) == sorted(What)


CODES: list[tuple[str, type[Enum]]] = [
    ("job `status`", JobStatus),
    ("task `status`", TaskStatus),
    ("task `kind`", TaskKind),
    ("attempt `status`", AttemptStatus),
    ("`contentType`", ContentType),
    ("`expressionType`", ExpressionKind),
    ("`commonStrategy`", CommonStrategy),
    ("`operatorMode`", Edit),
    ("`misfirePolicy`", MisfirePolicy),
    ("`relationType`", RelationType),
    ("system `status`", SystemSwitch),
    ("`appType`", AppKind),
    ("`tokenForms`", TokenForms),
]


@pytest.mark.parametrize(("of", "words"), CODES, ids=[of for of, _ in CODES])
def test_the_codes_are_those_of_the_code(of: str, words: type[Enum]) -> None:
    told = re.search(rf"^\| {re.escape(of)} \| (.*) \|$", section("Codes"), re.MULTILINE)

    assert told is not None
    listed = re.sub(r" \([^)]*\)", "", told[1]).split(", ")
    assert listed == [
        str(word.value) if isinstance(word, str) else f"{word.value} {word.name}" for word in words
    ]


@pytest.mark.parametrize(
    "told",
    [
        f"`user` | who acts within your system: 1 to {body.MAX_NAME} characters",
        f"`appName` | your app's name: 1 to {body.MAX_NAME} characters",
        f"a body of more than {body.MAX_BODY // 1024 // 1024} MiB",
        f"Lists hold at most {fields.MAX_LIST} entries",
        f"more than {jsontext.MAX_DEPTH} levels of nesting",
        f"must be within {settings.SENTINEL_TOKEN_WINDOW.seconds} seconds of the server's time",
        f"More than {throttle.LIMIT} wrong tokens",
        f"more than {store.WHOLE // 1024 // 1024} MiB (read it in pieces)",
        f"more than {outlook.MAX_SPAN.days} days, more than {outlook.MAX_JOBS} jobs, "
        f"more than {outlook.MAX_RUNS} runs",
        f"a range without a slot, more than {reruns.MAX_TASKS} tasks",
    ],
)
def test_the_limits_are_those_of_the_code(told: str) -> None:
    assert told in re.sub(r"\s+", " ", DOC)
