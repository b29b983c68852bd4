"""/api/script/… and /api/artifact/…: stored, found again, owned, and never more than allowed."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest

from jobs.models import Artifact, ArtifactPiece, AuditEntry, Script
from sentinel_project import clock
from tasks_app import housekeeping
from tests.api.jobs import NEW, added
from tests.caller import Caller

ADD, EDIT, QUERY, LIST = (f"/api/script/{verb}" for verb in ("add", "edit", "query", "list"))
UPLOAD, UPLOADS = "/api/artifact/add", "/api/artifact/list"
JAR = b"PK\x03\x04" + bytes(range(256)) * 8


def script(caller: Caller, name: str = "load", content: str = "echo 1") -> int:
    reply = caller.post(ADD, scriptName=name, content=content)
    assert (reply.code, reply.data["version"]) == (0, 1), reply.msg
    return int(reply.data["scriptId"])


def upload(caller: Caller, data: bytes = JAR, **words: Any) -> Any:
    told = {"artifactName": "a.jar", "data": base64.b64encode(data).decode(), **words}
    return caller.post(UPLOAD, **told)


def test_a_script_is_read_back_in_each_of_its_versions(caller: Caller) -> None:
    script_id = script(caller)

    second = caller.post(EDIT, scriptId=script_id, content="echo 2 größer")
    same = caller.post(EDIT, scriptId=script_id, content="echo 2 größer")
    latest = caller.post(QUERY, scriptId=script_id).data
    first = caller.post(QUERY, scriptId=script_id, version=1).data

    assert second.data == same.data == {"scriptId": script_id, "version": 2}
    assert (latest["version"], latest["content"]) == (2, "echo 2 größer")
    assert (first["version"], first["content"], first["latestVersion"]) == (1, "echo 1", 2)
    assert first["appName"] == caller.app.name
    (row,) = caller.post(LIST, scriptName="LOA").data["scripts"]
    assert (row["scriptId"], row["version"]) == (script_id, 2)


def test_an_apps_scripts_are_nobody_elses(
    caller: Caller, other: Caller, admin_caller: Caller
) -> None:
    script_id = script(caller)

    assert other.post(QUERY, scriptId=script_id).msg == f"no script {script_id}"
    assert other.post(EDIT, scriptId=script_id, content="x").msg == f"no script {script_id}"
    assert other.post(LIST).data["scripts"] == []
    assert script(other) != script_id
    assert admin_caller.post(QUERY, scriptId=script_id).data["content"] == "echo 1"


def test_what_an_admin_adds_is_for_every_app_unless_it_names_one(
    caller: Caller, other: Caller, admin_caller: Caller
) -> None:
    shared = script(admin_caller, "shared")
    given = admin_caller.post(ADD, scriptName="given", content="x", appName=caller.app.name)

    assert [row["scriptName"] for row in caller.post(LIST).data["scripts"]] == ["given", "shared"]
    assert [row["scriptName"] for row in other.post(LIST).data["scripts"]] == ["shared"]
    refusal = caller.post(EDIT, scriptId=shared, content="x")
    assert "only an ADMIN app may change it" in refusal.msg
    assert caller.post(EDIT, scriptId=given.data["scriptId"], content="y").data["version"] == 2


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"content": "echo $YTD(a,b)"}, "content: line 1, column 6"),
        ({"content": "  "}, "content must be text"),
        ({"scriptName": "load"}, "a script named 'load' exists already"),
        ({"appName": "other"}, "appName: 'mine' can add for itself alone"),
    ],
)
def test_a_script_that_cannot_be_kept_is_refused(
    words: dict[str, Any], what: str, caller: Caller
) -> None:
    script(caller)

    reply = caller.post(ADD, **{"scriptName": "new", "content": "x"} | words)

    assert reply.code == 1
    assert what in reply.msg
    assert Script.objects.count() == 1


def test_a_version_that_is_not_there_is_refused(caller: Caller) -> None:
    reply = caller.post(QUERY, scriptId=script(caller), version=2)

    assert (reply.code, reply.msg) == (1, "version must be from 1 to 1")


def test_a_job_names_a_script_and_is_refused_where_there_is_none(
    caller: Caller, other: Caller
) -> None:
    mine, theirs = script(caller, content="echo ${day}"), script(other)
    job = NEW | {"jobType": "shell", "contentType": 2, "params": {"day": "1"}}

    assert caller.post("/api/job/submit", **job | {"content": str(mine)}).code == 0
    for reference, what in [
        (str(theirs), f"content: there is no script {theirs}"),
        (f"{mine}@2", f"content: there is no script {mine}@2"),
        ("/etc/passwd", "content: it must be the id of a script"),
    ]:
        reply = caller.post("/api/job/submit", **job | {"content": reference, "jobName": "x"})
        assert what in reply.msg


def test_a_small_file_goes_in_one_call_and_is_kept_once(caller: Caller) -> None:
    first, again = upload(caller), upload(caller, artifactName="other name")

    assert first.data["artifactId"] == again.data["artifactId"]
    assert (first.data["isComplete"], first.data["size"]) == (True, len(JAR))
    assert first.data["sha256"] == hashlib.sha256(JAR).hexdigest()
    assert Artifact.objects.get().name == "a.jar"


def pieces_of(data: bytes, size: int) -> list[dict[str, Any]]:
    whole = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return [
        {"data": data[at : at + size], "offset": at} | whole for at in range(0, len(data), size)
    ]


def test_a_file_goes_in_pieces_and_counts_when_all_of_them_are_there(caller: Caller) -> None:
    pieces = pieces_of(JAR, 1000)

    replies = [upload(caller, **piece) for piece in pieces]

    assert [reply.data["received"] for reply in replies] == [1000, 2000, len(JAR)]
    assert [reply.data["isComplete"] for reply in replies] == [False, False, True]
    kept = ArtifactPiece.objects.order_by("start").values_list("data", flat=True)
    assert b"".join(map(bytes, kept)) == JAR


def test_a_piece_that_came_already_changes_nothing_and_one_at_0_begins_anew(
    caller: Caller,
) -> None:
    first, second, _ = pieces_of(JAR, 1000)
    upload(caller, **first)
    upload(caller, **second)
    audited = AuditEntry.objects.count()

    again = upload(caller, **second)
    assert (again.data["received"], AuditEntry.objects.count()) == (2000, audited)
    assert upload(caller, **first).data["received"] == 1000


def test_pieces_follow_each_other(caller: Caller) -> None:
    first, _, third = pieces_of(JAR, 1000)
    upload(caller, **first)

    assert "offset: 1000 bytes are there" in upload(caller, **third).msg


def test_bytes_that_are_not_what_was_announced_are_refused_and_can_be_sent_again(
    caller: Caller,
) -> None:
    first, second, third = pieces_of(JAR, 1000)
    upload(caller, **first)
    upload(caller, **second | {"data": b"x" * 1000})

    refusal = upload(caller, **third)
    assert (refusal.code, "begin again at offset 0" in refusal.msg) == (1, True)
    assert not Artifact.objects.get().completed_at
    assert [upload(caller, **p).data["isComplete"] for p in (first, second, third)][-1]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"data": "not base64!"}, "data must be base64 of 1 to 1048576 bytes"),
        ({"data": ""}, "data must be base64"),
        ({"size": 5}, "size and sha256 must both be given"),
        ({"size": 2**30, "sha256": "a" * 64}, "size: it must be 1 to 67108864 bytes"),
        ({"size": 9, "sha256": "a" * 64}, "data: it goes beyond the 9 bytes"),
        ({"size": 9999, "sha256": "A" * 64}, "sha256: it must be 64 hexadecimal digits"),
        ({"offset": 7}, "size and sha256 must both be given"),
        ({"artifactName": ""}, "artifactName must be"),
        ({"path": "/etc/passwd"}, "path is not a field here"),
    ],
)
def test_an_upload_that_makes_no_sense_is_refused(
    words: dict[str, Any], what: str, caller: Caller
) -> None:
    told = {"artifactName": "a", "data": base64.b64encode(JAR).decode()} | words

    reply = caller.post(UPLOAD, **told)

    assert reply.code == 1
    assert what in reply.msg
    assert not Artifact.objects.exists()


def test_an_app_has_room_for_so_much_and_no_more(
    caller: Caller, other: Caller, settings: Any
) -> None:
    settings.SENTINEL_ARTIFACT_QUOTA = 2 * len(JAR) - 1
    upload(caller)

    assert "may have" in upload(caller, JAR[::-1]).msg
    assert upload(caller).code == 0
    assert upload(other).code == 0


def test_an_artifact_is_its_apps_or_everybodys(
    caller: Caller, other: Caller, admin_caller: Caller
) -> None:
    mine = upload(caller).data["artifactId"]
    shared = upload(admin_caller, JAR[::-1]).data["artifactId"]

    assert [row["artifactId"] for row in other.post(UPLOADS).data["artifacts"]] == [shared]
    job = NEW | {"jobType": "java", "contentType": 3}
    assert other.post("/api/job/submit", **job | {"content": str(shared)}).code == 0
    reply = other.post("/api/job/submit", **job | {"content": str(mine), "jobName": "x"})
    assert reply.msg == f"content: there is no artifact {mine}"


def test_an_upload_that_nobody_ended_leaves_after_a_day(caller: Caller) -> None:
    upload(caller)
    upload(caller, **pieces_of(JAR[::-1], 1000)[0])

    housekeeping.sweep(now=clock.now() + timedelta(hours=23))
    assert Artifact.objects.count() == 2
    housekeeping.sweep(now=clock.now() + timedelta(hours=25))

    assert Artifact.objects.get().completed_at
    assert ArtifactPiece.objects.count() == 1


def test_a_preview_shows_content_and_params_as_the_next_run_would_have_them(
    caller: Caller,
) -> None:
    reply = caller.post(
        "/api/job/preview",
        **NEW
        | {
            "jobType": "shell",
            "content": "echo $YTD(-1) ${scheduleTime:HH:mm} ${day} $HOME",
            "params": {"day": "a $YTD(yyyy)", "n": 1},
            "scheduleExpressionList": [added("30 3 1 3 *")],
        },
    )

    year = reply.data["runs"][0]["local"][:4]
    before = "0228" if int(year) % 4 else "0229"
    assert reply.data["content"] == f"echo {year}{before} 03:30 'a {year}' $HOME"
    assert reply.data["params"] == {"day": f"a {year}", "n": 1}
