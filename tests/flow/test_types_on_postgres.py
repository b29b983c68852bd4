"""The way of scripts, artifacts, connections and secrets to a run, on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.artifact_services import MAX_PIECE, add_file
from jobs.credential_services import Place, set_credential
from jobs.models import App, WorkerGroup
from jobs.rules.enums import ContentType, CredentialKind
from jobs.script_services import add_script, edit_script
from tests.builders import NOW, make_app
from tests.flow.conftest import SERVER
from tests.flow.races import a_name
from tests.flow.runs import job_of, run

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("postgres")]


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")


def test_a_script_runs_in_its_version_with_its_placeholders(app: App) -> None:
    text = 'printf "größer 🙂 $YTD(-1)\\n${day}\\0\\xff"'
    first = add_script(a_name(), text, owner=app, app=app, user="ann", now=NOW)
    edit_script(first.script_id, text="exit 3", app=app, user="ann", now=NOW)
    script = {"app": app, "content_type": ContentType.SCRIPT, "extra": {"day": "a'b"}}

    pinned = run(
        job_of("shell", f"{first.script_id}@1", **script),
        data_at=datetime(2025, 12, 31, 17, 0, tzinfo=UTC),
    )
    latest = run(job_of("shell", f"{first.script_id}", **script))

    assert pinned.ending == ("SUCCESS", "")
    assert pinned.result == "größer 🙂 20251231\na'b\0\ufffd"
    assert pinned.attempt.what_ran["extra"] == {"day": "a'b"}
    assert "größer 🙂 20251231" in pinned.attempt.what_ran["content"]
    assert latest.ending == ("FAILED", "EXIT_CODE")
    assert latest.attempt.what_ran["content"] == "exit 3"


def test_an_artifact_of_several_pieces_is_the_file_that_was_added(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_MAPREDUCE_COMMAND", "sha256sum {options} {content} {args}")
    path = tmp_path / "a.jar"
    path.write_bytes(b"\0\xff" * MAX_PIECE + b"end")
    artifact = add_file(path, name="a.jar", owner=app, app=app, user="ann", now=NOW)
    jar = {"content_type": ContentType.JAR}

    ran = run(job_of("mapreduce", str(artifact.pk), app=app, **jar))
    foreign = run(job_of("mapreduce", str(artifact.pk), app=make_app(name=a_name()), **jar))

    assert artifact.pieces.count() == 3
    assert ran.ending == ("SUCCESS", "")
    assert ran.result.split()[0] == artifact.sha256
    assert foreign.ending == ("FAILED", "BAD_CONTENT")


def test_a_connection_and_a_secret_are_the_groups_own_and_are_seen_nowhere(app: App) -> None:
    group = WorkerGroup.objects.create(name=a_name())
    warehouse, token = a_name(), a_name()
    address = SERVER.replace("postgres@", "postgres:s3cr3t-word@") + "/postgres"
    keep(warehouse, "postgres://nobody@127.0.0.1:9/none", CredentialKind.CONNECTION)
    keep(warehouse, address, CredentialKind.CONNECTION, Place(group=group, apps=(app,)))
    keep(token, "t0ken-value", CredentialKind.SECRET)
    query = "SELECT 's3cr3t-word' AS a, $YTD(yyyy) AS y, NULL AS n, 'größer' AS g"

    asked = run(job_of("sql", query, app=app, worker_group=group, extra={"connection": warehouse}))
    elsewhere = run(job_of("sql", query, app=app, extra={"connection": warehouse}))
    handed = run(job_of("shell", f'cat "$SENTINEL_SECRETS/{token}"', extra={"secrets": [token]}))
    missing = run(job_of("sql", query, app=app, extra={"connection": a_name()}))

    assert asked.ending == ("SUCCESS", ""), asked.log
    assert asked.result == "a\ty\tn\tg\n***\t2026\t\\N\tgrößer\n"
    assert "s3cr3t" not in asked.log
    assert elsewhere.ending == ("FAILED", "BACKEND")
    assert (handed.ending, handed.result) == (("SUCCESS", ""), "***")
    assert missing.ending == ("FAILED", "BAD_PARAMS")


def keep(name: str, value: str, kind: CredentialKind, place: Place | None = None) -> None:
    set_credential(name, value, kind=kind, place=place or Place(), by=None, user="olga", now=NOW)
