"""/api/job/preview: what a submission or an edit would do, and that nothing is kept (D-71)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.apps import apps

from jobs.models import Job, RequestRecord
from tests.api.jobs import NEW, added, after, millis, slot_in, submit
from tests.caller import Caller

PREVIEW = "/api/job/preview"


def rows() -> dict[str, list[Any]]:
    models = [
        model
        for label in ("jobs", "tasks_app")
        for model in apps.get_app_config(label).get_models()
        if model is not RequestRecord
    ]
    return {m.__name__: list(m._default_manager.order_by("pk").values()) for m in models}


def test_a_preview_says_when_a_job_would_run_in_its_zone_and_in_utc(caller: Caller) -> None:
    before = rows()

    reply = caller.post(PREVIEW, **NEW, scheduleExpressionList=[added("0 3 * * *")], count=3)

    assert reply.code == 0, reply.msg
    assert reply.data["timeZone"] == "Asia/Shanghai"
    assert reply.data["expressions"] == [
        {"expression": "0 3 * * *", "sentence": "at 03:00 every day, Asia/Shanghai"}
    ]
    assert len(reply.data["runs"]) == 3
    for run, at in zip(reply.data["runs"], reply.data["nextTimes"], strict=True):
        local, utc = (datetime.fromisoformat(run[name]) for name in ("local", "utc"))
        assert run["scheduleTime"] == at == millis(local) == millis(utc)
        assert (local.hour, utc.hour, local.utcoffset() == utc.utcoffset()) == (3, 19, False)
    assert rows() == before


def test_a_preview_tells_what_the_submission_then_does(caller: Caller) -> None:
    words = NEW | {"scheduleExpressionList": [added("*/7 * * * *")], "count": 3}

    foreseen = caller.post(PREVIEW, **words).data["nextTimes"]
    del words["count"]
    done = caller.post("/api/job/submit", **words).data["nextTimes"]

    assert foreseen == done


def test_each_run_shows_the_upstream_runs_that_it_would_wait_for(caller: Caller) -> None:
    hourly = submit(caller, "hourly", "0 * * * *")

    reply = caller.post(
        PREVIEW,
        **NEW,
        scheduleExpressionList=[added("30 9 * * *")],
        dependencyList=[after(hourly.pk, "d(-1)", commonStrategy=2)],
        count=3,
    )

    (bound,) = reply.data["runs"][2]["upstreams"]
    due = datetime.fromisoformat(reply.data["runs"][2]["local"])
    midnight = due.replace(hour=0, minute=0)
    day = 86_400_000
    assert (bound["from"], bound["to"]) == (millis(midnight) - day, millis(midnight))
    assert [run["scheduleTime"] for run in bound["runs"]] == [
        bound["from"] + hour * 3_600_000 for hour in range(24)
    ]
    assert {run["status"] for run in bound["runs"]} == {None}
    assert (bound["preJobId"], bound["commonStrategy"], bound["offsetStrategy"]) == (
        hourly.pk,
        2,
        "d(-1)",
    )
    assert bound["isCut"] is False


def test_a_window_of_millions_of_runs_is_cut(caller: Caller) -> None:
    every_second = submit(caller, "seconds", scheduleExpressionList=[added("s(1)", 2)])

    reply = caller.post(
        PREVIEW,
        **NEW,
        scheduleExpressionList=[added("0 3 1 1 *")],
        dependencyList=[after(every_second.pk, "y(-1)", commonStrategy=2)],
        count=2,
    )

    (bound,) = reply.data["runs"][1]["upstreams"]
    assert (len(bound["runs"]), bound["isCut"]) == (200, True)


def test_a_preview_lists_so_many_runs_of_all_windows_together(caller: Caller) -> None:
    """W-5: due times times upstreams times runs have one limit, and what is left out is marked."""
    every_second = submit(caller, "seconds", scheduleExpressionList=[added("s(1)", 2)])

    reply = caller.post(
        PREVIEW,
        **NEW,
        scheduleExpressionList=[added("0 3 * * *")],
        dependencyList=[after(every_second.pk, "h(-1)", commonStrategy=2)],
        count=100,
    )

    bindings = [run["upstreams"][0] for run in reply.data["runs"]]
    listed = [len(bound["runs"]) for bound in bindings]
    assert listed == [200] * 50 + [0] * 50
    assert {bound["isCut"] for bound in bindings} == {True}
    assert reply.data["warnings"] == []


def test_days_on_which_clocks_change_are_noted(caller: Caller) -> None:
    words = NEW | {"timeZone": "Europe/Berlin", "scheduleExpressionList": [added("30 2 * * *")]}

    runs = caller.post(PREVIEW, **words, count=100).data["runs"]
    runs += caller.post(
        PREVIEW, **words | {"scheduleExpressionList": [added("30 2 20-31 3,10 *")]}, count=24
    ).data["runs"]

    noted = {run["local"][5:7]: run["note"] for run in runs if run["note"]}
    assert noted["03"] == "clocks go forward from 02:00 to 03:00 on this day"
    assert noted["10"] == "clocks go back from 03:00 to 02:00 on this day"


def test_an_edit_is_previewed_and_not_made(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    edited = {
        "operatorMode": 2,
        "expressionId": job.expressions.get().pk,
        "expression": "0 5 * * *",
    }
    before = rows()

    reply = caller.post(PREVIEW, jobId=job.pk, scheduleExpressionList=[edited], count=1)

    assert reply.data["expressions"][0]["sentence"] == "at 05:00 every day, Asia/Shanghai"
    assert reply.data["runs"][0]["local"][11:16] == "05:00"
    assert rows() == before
    assert caller.post(PREVIEW, jobId=job.pk, count=1).data["runs"][0]["local"][11:16] == "03:00"


def test_a_job_without_a_schedule_is_previewed_by_its_names(caller: Caller) -> None:
    first, second = submit(caller, "noon", "0 12 * * *"), submit(caller, "one", "0 13 * * *")

    reply = caller.post(PREVIEW, **NEW, dependencyList=[after(first.pk), after(second.pk)], count=2)

    assert [run["local"][11:16] for run in reply.data["runs"]] == ["13:00", "13:00"]


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({}, "it runs only when it is asked to"),
        ({"status": 2, "scheduleExpressionList": [added("0 3 * * *")]}, "the job is DISABLED"),
        ({"scheduleExpressionList": [added("m(5)", 3)]}, "of a delay only the first run is known"),
    ],
    ids=str,
)
def test_a_preview_warns(fields: dict[str, Any], warning: str, caller: Caller) -> None:
    (told,) = caller.post(PREVIEW, **NEW, **fields).data["warnings"]

    assert warning in told


def test_a_preview_warns_of_upstreams_that_are_not_waited_for(caller: Caller) -> None:
    upstream = submit(caller, "upstream", "0 3 * * *", status=2)

    reply = caller.post(
        PREVIEW,
        **NEW,
        scheduleExpressionList=[added("0 5 * * *")],
        dependencyList=[after(upstream.pk)],
    )

    (warning,) = reply.data["warnings"]
    assert warning == f"upstream {upstream.pk} (upstream) is DISABLED: it is not waited for"


def test_a_preview_warns_of_a_first_run_that_comes_too_early(caller: Caller) -> None:
    """D-34a: the year before the pair began holds no run."""
    upstream = submit(caller, "upstream", "0 3 * * *")

    reply = caller.post(
        PREVIEW,
        **NEW,
        scheduleExpressionList=[added("59 59 23 31 12 ?")],
        dependencyList=[after(upstream.pk, "y(-1)", commonStrategy=2)],
        count=1,
    )

    (warning,) = reply.data["warnings"]
    assert f"its window ends before {upstream.pk} began" in warning


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"jobName": ""}, "jobName"),
        ({"count": 0}, "count"),
        ({"count": 101}, "count"),
        ({"count": "x"}, "count"),
        ({"jobId": "x"}, "jobId"),
        ({"jobId": -1}, "jobId"),
        ({"nonsense": 1}, "nonsense"),
        ({"scheduleExpressionList": [added("0 25 * * *")]}, "scheduleExpressionList"),
        ({"dependencyList": [after(10**9)]}, "dependencyList"),
        ({"workerGroupId": 10**9}, "workerGroupId"),
    ],
    ids=str,
)
def test_a_preview_refuses_what_the_submission_would(
    fields: dict[str, Any], named: str, caller: Caller
) -> None:
    reply = caller.post(PREVIEW, **NEW | fields)

    assert (reply.code, reply.msg.startswith(named)) == (1, True)
    assert not Job.objects.exists()


def test_a_one_off_is_due_at_once(caller: Caller) -> None:
    reply = caller.post(PREVIEW, **NEW, isTemp=True)

    assert len(reply.data["runs"]) == 1
    assert reply.data["nextTimes"][0] < millis(slot_in(1))
    assert rows()["Task"] == []
