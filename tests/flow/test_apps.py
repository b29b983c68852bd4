"""Apps: registered, keys turned over, disabled, and all of it on record (D-80, D-85)."""

from __future__ import annotations

import re
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from jobs import app_services, keys
from jobs.models import App, AuditEntry, Job
from jobs.rules.enums import AppKind
from jobs.rules.spec import JobSpec
from jobs.services import submit_job
from sentinel_project.errors import InvalidParameters, Refused
from tests.builders import KEY, NOW, make_app

pytestmark = pytest.mark.django_db


def created(*args: str) -> str:
    out = StringIO()
    call_command("create_app", *args, stdout=out)
    return out.getvalue()


def test_create_app_prints_the_key_and_nothing_else() -> None:
    printed = created("billing", "--type", "ADMIN", "--owner", "data team")

    found = re.fullmatch(r"key: ([0-9a-f]{32})\n", printed)
    assert found is not None
    app = App.objects.get()
    assert (app.name, app.is_admin, app.owner) == ("billing", True, "data team")
    assert keys.unseal(app.sealed_key) == found[1]


def test_whoever_was_let_in_before_the_app_was_deleted_submits_nothing() -> None:
    app = make_app(name="billing")
    app_services.close_app(App.objects.get(), by=None, user="ann", now=NOW)

    with pytest.raises(Refused, match="app billing was deleted"):
        submit_job(JobSpec(name="x", job_type="dummy", content="{}"), app=app, user="", now=NOW)

    assert not Job.objects.exists()


def test_an_app_is_normal_unless_said_otherwise() -> None:
    created("billing")

    assert not App.objects.get().is_admin


def test_a_name_that_is_taken_is_refused_and_the_key_stays() -> None:
    app = make_app(name="billing")

    with pytest.raises(CommandError, match="exists already"):
        created("billing")

    app.refresh_from_db()
    assert keys.unseal(app.sealed_key) == KEY


@pytest.mark.parametrize("silly", ["", " x", "x" * 65, "a\nb", "a\x00"])
def test_a_silly_name_is_refused(silly: str, now: datetime) -> None:
    with pytest.raises(InvalidParameters, match="appName must be"):
        app_services.register_app(name=silly, kind=AppKind.NORMAL, now=now)

    assert not App.objects.exists()


def test_a_third_key_is_refused_while_two_are_live(now: datetime) -> None:
    app = make_app()
    second = app_services.rotate_key(app, user="root", now=now)

    with pytest.raises(Refused, match="two keys"):
        app_services.rotate_key(app, user="root", now=now)

    app.refresh_from_db()
    assert (keys.unseal(app.sealed_old_key), keys.unseal(app.sealed_key)) == (KEY, second)


def test_what_was_sealed_under_a_secret_that_is_gone_is_unreadable(settings: Any) -> None:
    sealed = keys.seal(KEY)

    settings.SECRET_KEY = "another secret of this installation"

    with pytest.raises(keys.Unreadable):
        keys.unseal(sealed)


def test_an_old_key_that_is_not_there_cannot_be_dropped(now: datetime) -> None:
    with pytest.raises(Refused, match="no old key"):
        app_services.drop_old_key(make_app(), user="root", now=now)


def test_disabling_twice_is_one_change(now: datetime) -> None:
    app = make_app()

    for _ in range(2):
        app_services.set_enabled(app, False, user="root", now=now)

    app.refresh_from_db()
    assert not app.is_enabled
    assert AuditEntry.objects.count() == 1


def test_everything_done_to_an_app_is_on_record_without_its_keys(now: datetime) -> None:
    app, first = app_services.register_app(
        name="billing", kind=AppKind.NORMAL, now=now, user="root"
    )
    second = app_services.rotate_key(app, user="root", now=now)
    app_services.drop_old_key(app, user="root", now=now)
    app_services.set_enabled(app, False, user="root", now=now)

    entries = list(AuditEntry.objects.order_by("pk"))
    assert [entry.action for entry in entries] == [
        "app.register",
        "app.rotate_key",
        "app.drop_old_key",
        "app.set_enabled",
    ]
    assert {(entry.object_type, entry.object_id, entry.user) for entry in entries} == {
        ("app", app.pk, "root")
    }
    said = str([(entry.before, entry.after) for entry in entries])
    assert first not in said
    assert second not in said


def test_a_key_sealed_under_an_earlier_secret_still_opens(settings: Any) -> None:
    sealed = keys.seal(KEY)

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret of this installation"

    assert keys.unseal(sealed) == KEY


def test_the_same_key_is_never_sealed_alike() -> None:
    assert keys.seal(KEY) != keys.seal(KEY)


def test_two_apps_cannot_share_a_name() -> None:
    make_app(name="billing")

    with pytest.raises(IntegrityError), transaction.atomic():
        make_app(name="billing")


def test_the_operators_name_cannot_be_registered(db: None, now: datetime) -> None:
    with pytest.raises(InvalidParameters, match="operator"):
        app_services.register_app(name="operator", kind=AppKind.ADMIN, now=now)

    assert not App.objects.filter(name="operator").exists()
