"""``sentinel apps``: what an ADMIN app may do to apps, from the command line (D-80)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.models import App, AuditEntry
from jobs.rules.enums import AppKind
from sentinel_project.client.cli.exits import ExitCode
from tests.builders import KEY, make_app, make_job
from tests.client.conftest import Sentinel, Service
from tests.client.test_cli import one_line, table


@pytest.fixture
def admin(sentinel: Sentinel, service: Service) -> Sentinel:
    App.objects.filter(pk=service.app.pk).update(kind=AppKind.ADMIN.value)
    return sentinel


def told(sentinel: Sentinel, *words: object) -> Any:
    done = sentinel("apps", *words, "-o", "json")
    assert done.returncode == ExitCode.DONE, done.stderr
    return json.loads(done.stdout)


def can_call(sentinel: Sentinel, app: str, key: str) -> bool:
    """Tell whether ``key`` fits, by calling with it."""
    caller = Sentinel(sentinel.env | {"SENTINEL_APP": app, "SENTINEL_KEY": key}, sentinel.home)
    return caller("list").returncode == ExitCode.DONE


def test_an_app_is_added_and_its_key_fits(admin: Sentinel) -> None:
    words = ("--owner", "finance", "--max-running", 3, "--max-priority", 7, "--tokens", "v2")
    done = admin("apps", "add", "billing", *words, "--set", 'jobTypes={"shell": []}')

    assert done.returncode == ExitCode.DONE, done.stderr
    (name, key) = (row[1] for row in table(done.stdout))
    made = App.objects.get(name="billing")
    assert (name, made.kind, made.owner) == ("billing", AppKind.NORMAL, "finance")
    assert (made.max_concurrency, made.max_priority, made.token_forms) == (3, 7, "v2")
    assert made.allowed_types == {"shell": []}
    assert can_call(admin, "billing", key)


def test_an_admin_app_is_one_only_when_asked_for(admin: Sentinel) -> None:
    told(admin, "add", "root", "--admin")

    assert App.objects.get(name="root").kind == AppKind.ADMIN


def test_apps_are_listed_and_shown_without_keys(admin: Sentinel) -> None:
    make_app(name="bills", owner="a [bold]team")
    make_app(name="bills two")

    listed = admin("apps", "list", "--name", "bills")
    shown = admin("apps", "show", "bills")
    unknown = admin("apps", "show", "bill")

    assert table(listed.stdout) == [
        ["APP", "TYPE", "STATUS", "OWNER", "TOKENS", "KEYS"],
        ["bills two", "NORMAL", "ENABLED", "both", "1"],
        ["bills", "NORMAL", "ENABLED", "a [bold]team", "both", "1"],
    ]
    assert ["status", "ENABLED"] in table(shown.stdout)
    assert KEY not in listed.stdout + shown.stdout + told(admin, "list").__repr__()
    assert (unknown.returncode, one_line(unknown.stderr)) == (ExitCode.REFUSED, "no app 'bill'")
    assert len(told(admin, "list", "-n", 1)) == 1


def test_an_edit_changes_what_is_given(admin: Sentinel) -> None:
    make_app(name="billing", owner="finance", max_concurrency=5)

    edited = told(admin, "edit", "billing", "--max-running", 0, "--set", "workerGroupIds=[1]")

    app = App.objects.get(name="billing")
    assert (app.owner, app.max_concurrency) == ("finance", 0)
    assert (edited["maxConcurrency"], edited["workerGroupIds"]) == (0, [1])


def test_an_app_is_disabled_and_enabled(admin: Sentinel) -> None:
    make_app(name="billing")

    assert ["status", "DISABLED"] in table(admin("apps", "disable", "billing").stdout)
    assert not can_call(admin, "billing", KEY)
    assert ["status", "ENABLED"] in table(admin("apps", "enable", "billing").stdout)
    assert can_call(admin, "billing", KEY)


def test_a_key_is_rotated_in_two_steps(admin: Sentinel) -> None:
    """W-12: two live keys, so that nobody is locked out meanwhile."""
    make_app(name="billing")

    fresh = told(admin, "rotate-key", "billing")["appKey"]
    assert can_call(admin, "billing", KEY)
    assert can_call(admin, "billing", fresh)
    third = admin("apps", "rotate-key", "billing")
    dropped = admin("apps", "rotate-key", "billing", "--drop-old")

    assert third.returncode == ExitCode.REFUSED
    assert ["key", "the old one is dropped"] in table(dropped.stdout)
    assert not can_call(admin, "billing", KEY)
    assert can_call(admin, "billing", fresh)


def test_an_app_is_deleted_unless_it_has_jobs(admin: Sentinel) -> None:
    make_job(app=make_app(name="busy"))
    make_app(name="idle")

    refused = admin("apps", "delete", "busy")
    deleted = admin("apps", "delete", "idle")

    assert (refused.returncode, deleted.returncode) == (ExitCode.REFUSED, ExitCode.DONE)
    assert not can_call(admin, "idle", KEY)
    assert can_call(admin, "busy", KEY)


@pytest.mark.parametrize(
    "words",
    [
        *(["list"], ["show", "x"], ["add", "x"], ["edit", "x"], ["enable", "x"]),
        *(["disable", "x"], ["rotate-key", "x"], ["delete", "x"]),
    ],
    ids=lambda words: str(words[0]),
)
def test_all_of_it_is_for_admin_apps(
    sentinel: Sentinel, service: Service, words: list[str]
) -> None:
    make_app(name="x")

    refused = sentinel("apps", *words)

    assert refused.returncode == ExitCode.REFUSED
    assert one_line(refused.stderr) == "only ADMIN apps may do this"
    assert not AuditEntry.objects.exists()
    assert App.objects.filter(name="x", is_enabled=True, sealed_old_key="").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["edit", "nobody"], ExitCode.REFUSED, "no app 'nobody'"),
        (["add", "x", "--tokens", "v3"], ExitCode.REFUSED, "tokenForms"),
        (["add", "x", "--set", "nosuch=1"], ExitCode.REFUSED, "nosuch"),
        (["add", "x", "--set", "owner"], ExitCode.USAGE, "NAME=VALUE"),
        (["add", "x", "--max-running", "-1"], ExitCode.USAGE, "--max-running"),
        (["add"], ExitCode.USAGE, "APP"),
        (["disable", "mine"], ExitCode.REFUSED, "itself"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_goes_wrong_is_one_line(
    admin: Sentinel, words: list[str], code: ExitCode, said: str
) -> None:
    done = admin("apps", *words)

    assert done.returncode == code, done.stderr
    assert said in one_line(done.stderr)
    assert not App.objects.filter(name="x").exists()
