"""add_artifact, add_connection, add_secret and reseal_keys, as operators type them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs import keys
from jobs.artifact_files import file_of
from jobs.models import Artifact, AuditEntry, Credential, WorkerGroup
from tests.builders import make_app


def said(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    path = tmp_path / "a jar.jar"
    path.write_bytes(bytes(range(256)) * 9000)
    return path


def test_a_file_of_many_pieces_is_kept_and_comes_back_the_same(db: None, jar: Path) -> None:
    printed = said("add_artifact", str(jar))

    artifact = Artifact.objects.get()
    assert printed.splitlines()[0] == f"artifact: {artifact.pk}"
    assert (artifact.name, artifact.app, artifact.pieces.count()) == ("a jar.jar", None, 3)
    with file_of(artifact) as path:
        assert path.read_bytes() == jar.read_bytes()
    assert artifact.sha256 == hashlib.sha256(jar.read_bytes()).hexdigest()


def test_the_same_file_is_kept_once_for_each_owner(db: None, jar: Path) -> None:
    app = make_app()

    first, again = said("add_artifact", str(jar)), said("add_artifact", str(jar), "--name", "b")
    own = said("add_artifact", str(jar), "--app", app.name)

    assert first == again != own
    assert Artifact.objects.get(app=app).name == "a jar.jar"


def test_a_file_that_is_not_there_empty_or_nobodys_is_refused(db: None, jar: Path) -> None:
    empty = jar.with_name("empty.jar")
    empty.touch()

    for words in ((str(jar) + "x",), (str(empty),), (str(jar), "--app", "nobody")):
        with pytest.raises(CommandError):
            said("add_artifact", *words)
    assert not Artifact.objects.exists()


def test_a_connection_is_sealed_and_set_anew_under_its_name(db: None) -> None:
    first = said("add_connection", "--name", "wh", "--url", "postgres://ann:word@db/x")
    said("add_connection", "--name", "wh", "--url", "mysql://db/y")

    row = Credential.objects.get()
    assert first == "connection: wh\n"
    assert (row.kind, row.worker_group) == ("CONNECTION", None)
    assert keys.unseal(row.sealed) == "mysql://db/y"
    assert "word" not in str(list(AuditEntry.objects.values()))


def test_a_secret_comes_from_standard_input_for_a_group_and_an_app(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, app = WorkerGroup.objects.create(name="g"), make_app()
    monkeypatch.setattr("sys.stdin", io.StringIO("the word\n"))

    said("add_secret", "--name", "token", "--group", str(group.pk), "--app", app.name)

    row = Credential.objects.get()
    assert (row.kind, row.worker_group, list(row.apps.all())) == ("SECRET", group, [app])
    assert keys.unseal(row.sealed) == "the word"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--name", "wh", "--url", "db/x"], "a connection is an address"),
        (["--name", "-", "--url", "x://yz"], "name: it must be"),
        (["--name", "wh", "--url", "x://yz", "--group", "99"], "there is no worker group 99"),
        (["--name", "wh", "--url", "x://yz", "--app", "nobody"], "no app 'nobody'"),
    ],
)
def test_a_connection_that_makes_no_sense_is_refused(words: list[str], what: str, db: None) -> None:
    with pytest.raises(CommandError, match=what):
        said("add_connection", *words)
    assert not Credential.objects.exists()


def test_connections_are_sealed_anew_with_the_keys_of_apps(db: None, settings: Any) -> None:
    said("add_connection", "--name", "wh", "--url", "mysql://db/y")
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another secret"

    printed = said("reseal_keys")
    settings.SECRET_KEY_FALLBACKS = []

    assert "1 connections and secrets are sealed" in printed
    assert keys.unseal(Credential.objects.get().sealed) == "mysql://db/y"
    settings.SECRET_KEY = "a third"
    with pytest.raises(CommandError, match="wh"):
        said("reseal_keys")
