"""What a submission may say to each jobType, and which types an app may use (issue 7, D-80)."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.credential_services import Place, set_credential
from jobs.models import Job, WorkerGroup
from jobs.rules.enums import CredentialKind
from tests.api.jobs import NEW
from tests.builders import NOW
from tests.caller import Caller

SUBMIT = "/api/job/submit"


@pytest.mark.parametrize(
    ("job_type", "words", "what"),
    [
        ("dummy", {"params": {"sleep": "1"}}, "params.sleep: it must be a number of seconds"),
        ("dummy", {"params": {"sleeep": 1}}, "params.sleeep: this jobType does not know it; did"),
        ("dummy", {"params": {"exitCode": 256}}, "params.exitCode: it must be an integer from 0"),
        ("shell", {"params": {"LD_PRELOAD": "x"}}, "params: LD_PRELOAD is reserved"),
        ("shell", {"params": {"taskId": "x"}}, "params.taskId: it is the name of a placeholder"),
        ("shell", {"params": {"secrets": "x"}}, "params.secrets: it must be a list of names"),
        ("shell", {"params": {"secrets": ["x"]}}, "nothing is registered as 'x' for worker group"),
        ("shell", {"contentType": 3}, "contentType: jobs of this type take 1 (TEXT) or 2 (SCRIPT)"),
        ("shell", {"content": "echo\n $YTD(a,b)"}, "content: line 2, column 2: the first of two"),
        ("shell", {"content": "$YTD(-999999)"}, "content: line 1, column 1: it leads out of the"),
        ("shell", {"params": {"day": "${date:1x"}}, "params.day: line 1, column 1: this"),
        (
            "shell",
            {"content": "echo `${x}`", "params": {"x": "a;b"}},
            "content: line 1, column 7: its value cannot be quoted",
        ),
        ("python", {"params": {"args": [1]}}, "params.args: it must be a list of texts"),
        ("python", {"params": {"interpreter": "/bin/sh"}}, "params.interpreter: it must be the"),
        ("java", {"content": "a.jar"}, "content: it must be the id of an artifact"),
        ("java", {"content": "../a.jar"}, "content: it must be the id of an artifact"),
        ("java", {"content": "7"}, "content: there is no artifact 7"),
        ("java", {"contentType": 2}, "contentType: jobs of this type take 1 (TEXT) or 3 (JAR)"),
        ("java", {"params": {"classpath": ["1"]}}, "params.mainClass: it is missing; a job with"),
        ("java", {"params": {"classpath": ["/a.jar"]}}, "params.classpath: it must be a list of"),
        ("java", {"params": {"jvmOptions": ["Main"]}}, "params.jvmOptions: it must be a list of"),
        ("java", {"params": {"mainClass": "-version"}}, "params.mainClass: it must be the name of"),
        ("shell", {"params": {"yarn": "yes"}}, "params.yarn: it must be true or false"),
        ("spark", {"content": "7"}, "content: a number is no program; an artifact's id needs"),
        ("spark", {"content": "7", "contentType": 3}, "content: there is no artifact 7"),
        ("spark", {"params": {"master": "yarn;id"}}, "params.master: it must be yarn, local"),
        ("spark", {"params": {"master": "--class"}}, "params.master: it must be yarn, local"),
        ("spark", {"params": {"queue": "-q"}}, "params.queue: it must be the name of a queue"),
        (
            "spark",
            {"params": {"driverMemory": "much"}},
            "params.driverMemory: it must be an amount",
        ),
        ("spark", {"params": {"numExecutors": 0}}, "params.numExecutors: it must be an integer"),
        ("spark", {"params": {"conf": {"a.b": 1}}}, "params.conf: it must be an object of"),
        ("spark", {"params": {"conf": {"spark.a": [1]}}}, "params.conf: it must be an object of"),
        (
            "spark",
            {"params": {"conf": {"spark.master": "yarn"}}},
            "params.conf: spark.master is said by params.master",
        ),
        (
            "spark",
            {"params": {"deployMode": "cluster", "master": "spark://a:7077"}},
            "params.deployMode: cluster needs master yarn",
        ),
        ("spark", {"params": {"jars": ["a.jar"]}}, "params.jars: it must be a list of ids"),
        ("spark", {"params": {"SPARK_HOME": "/x"}}, "params.SPARK_HOME: it would steer the client"),
        ("spark", {"params": {"LD_PRELOAD": "x"}}, "params: LD_PRELOAD is reserved"),
        ("mapreduce", {"content": "a.jar"}, "content: it must be the id of an artifact"),
        ("mapreduce", {"params": {"JAVA_HOME": "/x"}}, "params.JAVA_HOME: it would steer"),
        (
            "mapreduce",
            {"params": {"queue": "a", "conf": {"mapreduce.job.queuename": "b"}}},
            "params.conf: mapreduce.job.queuename is said by params.queue",
        ),
    ],
)
def test_what_a_type_cannot_use_is_refused_by_name(
    job_type: str, words: dict[str, Any], what: str, caller: Caller
) -> None:
    reply = caller.post(SUBMIT, **NEW | {"jobType": job_type, "content": "x"} | words)

    assert reply.code == 1
    assert what in reply.msg
    assert not Job.objects.exists()


def test_all_that_is_wrong_is_told_at_once(caller: Caller) -> None:
    wrong = {"jobType": "shell", "content": "$YTD(", "params": {"a-b": 1, "secrets": 1}}

    msg = caller.post(SUBMIT, **NEW | wrong | {"workerGroupId": 99}).msg

    for what in ("content: line 1", "'a-b'", "params.secrets:", "workerGroupId:"):
        assert what in msg


def test_an_edit_is_judged_and_what_was_wrong_before_stands_in_no_ones_way(caller: Caller) -> None:
    job_id = caller.post(SUBMIT, **NEW | {"jobType": "shell", "content": "x"}).data["jobId"]

    refused = caller.post("/api/job/edit", jobId=job_id, content="$YTD(")
    Job.objects.filter(pk=job_id).update(content="$YTD(", extra={"LD_PRELOAD": 1})
    other = caller.post("/api/job/edit", jobId=job_id, priority=3)
    looked = caller.post("/api/job/preview", jobId=job_id, priority=4)

    assert "content: line 1, column 1" in refused.msg
    assert other.code == 0
    assert (looked.code, looked.data["content"]) == (0, None)
    assert any("a run would fail: content: line 1" in text for text in looked.data["warnings"])


def test_a_job_whose_type_is_gone_can_be_edited_and_says_so_when_it_runs(caller: Caller) -> None:
    job_id = caller.post(SUBMIT, **NEW).data["jobId"]
    Job.objects.filter(pk=job_id).update(job_type="cobol")

    assert caller.post("/api/job/edit", jobId=job_id, priority=3).code == 0
    refused = caller.post("/api/job/edit", jobId=job_id, content="y")
    looked = caller.post("/api/job/preview", jobId=job_id, priority=4)

    assert "jobType: there is no cobol any more; known are dummy" in refused.msg
    assert "unknown jobType 'cobol'" in looked.data["warnings"][-1]


def test_a_run_now_with_parameters_of_its_own_is_judged_by_them(caller: Caller) -> None:
    job_id = caller.post(SUBMIT, **NEW).data["jobId"]

    reply = caller.post("/api/job/run", jobId=job_id, params={"sleep": -1})

    assert "params.sleep: it must be" in reply.msg


def test_an_app_is_limited_to_types_and_groups(caller: Caller, admin_caller: Caller) -> None:
    group = WorkerGroup.objects.create(name="java machines")
    app = {"appName": caller.app.name}
    allowed = {"shell": [], "java": [group.pk]}

    told = admin_caller.post("/api/app/edit", **app, jobTypes=allowed)
    caller.app.refresh_from_db()

    assert told.data["jobTypes"] == allowed
    refused = [
        caller.post(SUBMIT, **NEW).msg,
        caller.post(SUBMIT, **NEW | {"jobType": "java", "content": "7"}).msg,
    ]
    assert "jobType: the app may use java, shell, not dummy" in refused[0]
    assert f"the app may use java in the worker groups [{group.pk}], not 1" in refused[1]
    assert caller.post(SUBMIT, **NEW | {"jobType": "shell", "content": "x"}).code == 0


@pytest.mark.parametrize(
    ("types", "what"),
    [
        ({"cobol": []}, "jobTypes: there is no cobol; known are dummy"),
        ({"shell": [99]}, "jobTypes: there is no worker group 99"),
        ({"shell": 1}, "jobTypes must have a list of worker group ids for shell"),
        ({"shell": [True]}, "jobTypes must have a list"),
        (["shell"], "jobTypes must be an object of jobTypes"),
    ],
)
def test_types_that_there_are_not_are_refused(
    types: Any, what: str, caller: Caller, admin_caller: Caller
) -> None:
    reply = admin_caller.post("/api/app/edit", appName=caller.app.name, jobTypes=types)

    assert reply.code == 1
    assert what in reply.msg


def test_a_secret_of_another_group_or_app_is_not_there(caller: Caller, other: Caller) -> None:
    group = WorkerGroup.objects.create(name="other")
    kind = CredentialKind.SECRET
    for name, place in [
        ("grouped", Place(group=group)),
        ("given", Place(apps=[other.app])),
        ("common", Place()),
    ]:
        set_credential(name, "value", kind=kind, place=place, by=None, user="o", now=NOW)

    def msg(name: str, **words: Any) -> str:
        job = NEW | {"jobType": "shell", "jobName": name, "params": {"secrets": [name]}}
        return caller.post(SUBMIT, **job | words).msg

    assert "nothing is registered as 'grouped' for worker group 1" in msg("grouped")
    assert "nothing is registered as 'given'" in msg("given")
    assert msg("grouped", workerGroupId=group.pk) == msg("common") == "success"
