"""What holds for every endpoint: it works, is audited, and is done once (D-85, W-13)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.endpoint import Mutation
from jobs.models import AuditEntry
from tests.api.samples import CASES, NAMES, ONLY_LOOKS, SAMPLES, make_places, make_world, put, rows
from tests.caller import Caller, answer_of
from tests.unit.test_wire_docs import endpoints

ENDPOINTS = endpoints()
LOOKS = [
    (path, sample)
    for path, sample in CASES
    if not issubclass(ENDPOINTS[path], Mutation) or ONLY_LOOKS & set(sample)
]
CHANGES = [case for case in CASES if case not in LOOKS]


def names(cases: list[Any]) -> list[str]:
    return [NAMES[CASES.index(case)] for case in cases]


@pytest.fixture
def values(caller: Caller) -> dict[str, int]:
    return make_world(caller.app) | make_places()


def who(path: str, caller: Caller, admin_caller: Caller) -> Caller:
    """Return the least that may call the endpoint."""
    return admin_caller if ENDPOINTS[path].for_admins else caller


def test_every_endpoint_has_a_sample() -> None:
    assert set(SAMPLES) == set(ENDPOINTS), "add the new endpoint to tests/api/samples.py"


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "object"])
def test_a_look_is_answered_and_changes_nothing(
    as_json: bool, caller: Caller, admin_caller: Caller, values: dict[str, int]
) -> None:
    before = rows()

    replies = {}
    for path, sample in LOOKS:
        asking = who(path, caller, admin_caller).elsewhere(as_json=as_json)
        reply = asking.post(path, **put(sample, values))
        replies[path] = (reply.status, reply.code, reply.msg)

    assert {path: said for path, said in replies.items() if said != (200, 0, "success")} == {}
    assert rows() == before


_RUNS = ("jobs_job.content", "jobs_job.extra")
_RAN = tuple(f"tasks_app_attempt.{name}" for name in ("content", "extra", "rendered"))


@pytest.mark.parametrize(
    ("path", "unread"),
    [
        ("/api/job/list", _RUNS),
        ("/api/job/plan", (*_RUNS, "tasks_app_task.extra")),
        ("/api/job/query/taskIds", ("tasks_app_task.extra",)),
        ("/api/task/query", _RAN),
        ("/api/task/timeline", _RAN),
    ],
)
@pytest.mark.usefixtures("spelled_statements")
def test_a_list_does_not_read_what_it_does_not_show(
    path: str, unread: tuple[str, ...], caller: Caller, values: dict[str, int]
) -> None:
    """A page of a thousand rows would be a gigabyte of content."""
    with CaptureQueriesContext(connection) as asked:
        assert caller.post(path, **put(SAMPLES[path][0], values)).code == 0

    read = [query["sql"].replace('"', "") for query in asked]
    assert [name for name in unread if re.search(rf"{name}\b", "; ".join(read))] == []


@pytest.mark.parametrize(("path", "sample"), CHANGES, ids=names(CHANGES))
def test_a_change_leaves_one_audit_row_that_says_who_what_and_from_where(
    path: str,
    sample: dict[str, Any],
    caller: Caller,
    admin_caller: Caller,
    values: dict[str, int],
) -> None:
    asking = who(path, caller, admin_caller)
    models = {
        model._meta.model_name: model
        for label in ("jobs", "tasks_app", "logs_app")
        for model in apps.get_app_config(label).get_models()
    }
    before = rows()

    reply = asking.elsewhere(address="10.1.2.3", user="zoë").post(path, **put(sample, values))

    assert (reply.status, reply.code, reply.msg) == (200, 0, "success")
    assert rows() != before
    entry = AuditEntry.objects.get()
    assert (entry.app, entry.user, entry.address) == (asking.app, "zoë", "10.1.2.3")
    assert entry.action
    told = entry.before != entry.after
    is_deletion = not models[entry.object_type]._default_manager.filter(pk=entry.object_id).exists()
    assert told or "key" in entry.action
    assert not is_deletion or entry.before is not None


@pytest.mark.parametrize(("path", "sample"), CHANGES, ids=names(CHANGES))
@pytest.mark.parametrize("by", ["requestId", "token"])
def test_a_change_is_done_once_however_often_it_is_asked_for(
    by: str,
    path: str,
    sample: dict[str, Any],
    caller: Caller,
    admin_caller: Caller,
    values: dict[str, int],
) -> None:
    asking = who(path, caller, admin_caller)
    parameters = put(sample, values) | ({by: "r-1"} if by == "requestId" else {})
    fields = asking.envelope(parameters)

    first = asking.send(path, **fields)
    between = rows()
    again = asking.send(path, **(fields if by == "token" else asking.envelope(parameters)))

    assert first.code == 0
    assert again.raw == first.raw
    assert rows() == between


def test_a_change_does_not_answer_get(caller: Caller) -> None:
    fields = caller.envelope({})

    replies = {path: answer_of(Client().get(path, fields)) for path, _ in CHANGES}

    assert {(reply.status, reply.code) for reply in replies.values()} == {(405, 1)}


def test_what_is_for_admins_is_refused_to_others_before_anything_is_looked_at(
    caller: Caller, values: dict[str, int]
) -> None:
    before = rows()

    replies = [
        caller.post(path, **parameters)
        for path, view in ENDPOINTS.items()
        if view.for_admins
        for parameters in [*(put(sample, values) for sample in SAMPLES[path]), {"nonsense": 1}]
    ]

    assert {(reply.code, reply.msg) for reply in replies} == {(1, "only ADMIN apps may do this")}
    assert rows() == before
