"""Values as attackers choose them: refused by name, or kept and shown as what they are (W-4)."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from django.db import transaction

from jobs.models import Job
from sentinel_project.wire.fields import IntegerField, TextField
from tests.api.jobs import added, after, submit
from tests.api.samples import NEW, SAMPLES, make_places, make_world, put, rows
from tests.builders import make_job, make_task
from tests.caller import Caller
from tests.flow.admin_desk import superuser
from tests.unit.test_wire_docs import endpoints

SUBMIT = "/api/job/submit"
#: As JSON writes them, since Python would not write all of them.
NUMBERS = [
    *("2147483648", "-2147483649", "9223372036854775808", "-9223372036854775809", str(2**70)),
    *("9" * 5_000, "-" + "9" * 5_000, "NaN", "Infinity", "-Infinity", "1e999", "-1e999"),
    *("1.5", "1e0", "-0.0", "true", "null", '"1.0"', '"0x10"', '" 1"', '"1_000"', '"\\u0661"'),
]
EVIL = [
    "'; DROP TABLE jobs_job; --",
    '" OR ""="',
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% debug %}",
    "${jndi:ldap://x/a}",
    "%s%n%(name)s{0.__class__}",
    "$(touch /tmp/owned)`id`; rm -rf /",
    "../../../../etc/passwd",
    "/etc/passwd",
    "file:///etc/passwd",
    "C:\\Windows\\win.ini",
    "a\r\nSet-Cookie: x=1",
    "\u202egnp.exe",
    "\u0130\u00df\ufb03 \U0001f600 \u200b",
    "=cmd|' /C calc'!A0",
    "NULL",
    "\x1b[31mred\x07",
]


@pytest.fixture
def values(caller: Caller) -> dict[str, int]:
    return make_world(caller.app) | make_places()


@pytest.mark.parametrize("path", sorted(SAMPLES))
def test_strange_numbers_in_every_field_are_refused_and_change_nothing(
    path: str, caller: Caller, admin_caller: Caller, values: dict[str, int]
) -> None:
    view = endpoints()[path]
    asking = admin_caller if view.for_admins else caller
    # Digits between quotes are a name like any other.
    names = [name for name, each in view.params().fields.items() if type(each) is not TextField]
    before = rows()

    for number in NUMBERS if names else []:
        text = "{" + ", ".join(f"{json.dumps(name)}: {number}" for name in names) + "}"
        reply = asking.send(path, **asking.envelope(text))
        assert (reply.status, reply.code) == (200, 1), (number, reply.msg)
        assert len(reply.msg) < 20_000

    assert rows() == before


@pytest.mark.parametrize("path", sorted(SAMPLES))
def test_the_ends_of_every_range_are_answered(
    path: str, caller: Caller, admin_caller: Caller, values: dict[str, int]
) -> None:
    view = endpoints()[path]
    asking = admin_caller if view.for_admins else caller
    ranges = {n: f for n, f in view.params().fields.items() if isinstance(f, IntegerField)}

    for sample in SAMPLES[path]:
        for name, field in ranges.items():
            for end in (field.low, field.high):
                with transaction.atomic():
                    reply = asking.post(path, **(put(sample, values) | {name: end}))
                    transaction.set_rollback(True)
                assert reply.status == 200, (sample, name, end)


@pytest.mark.parametrize("evil", EVIL)
def test_text_is_kept_as_it_is_and_shown_as_text(evil: str, caller: Caller) -> None:
    words = {"jobName": evil, "content": evil, "department": evil, "params": {evil: evil}}

    job_id = caller.elsewhere(user=evil).post(SUBMIT, **(NEW | words)).data["jobId"]

    shown = caller.post("/api/job/query", jobId=job_id).data
    assert {name: shown[name] for name in words} == words
    assert Job.objects.get().created_by == evil
    found = caller.post("/api/job/list", jobName=evil).data["jobs"]
    assert [job["jobId"] for job in found] == [job_id]
    desk = superuser()
    for page in (f"job/{job_id}/change/", "job/", "auditentry/"):
        source = desk.get(f"/admin/jobs/{page}").content.decode()
        assert "<script>alert" not in source
        assert "<img src=x" not in source
        assert "49{% debug" not in source
        assert "<" not in evil or html.escape(evil)[:12] in source


@pytest.mark.parametrize("evil", EVIL)
def test_text_in_a_filter_finds_what_it_says_and_nothing_else(evil: str, caller: Caller) -> None:
    submit(caller, "plain")

    for name in ("jobName", "jobType", "appName", "department"):
        reply = caller.post("/api/job/list", **{name: evil})
        assert (reply.status, reply.data.get("jobs", [])) == (200, [])


@pytest.mark.parametrize("wild", ["%", "_", "\\", "%%", "pl_in"])
def test_wild_cards_of_the_database_are_letters_here(wild: str, caller: Caller) -> None:
    submit(caller, "plain")

    assert caller.post("/api/job/list", jobName=wild).data["jobs"] == []


# -- ids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-1, 1])
def test_the_neighbours_of_an_id_are_nobodys_or_ones_own(
    step: int, caller: Caller, other: Caller
) -> None:
    mine = make_job(pk=5_000, app=caller.app)
    theirs = make_job(pk=5_000 + step, app=other.app)

    assert caller.post("/api/job/query", jobId=mine.pk).code == 0
    assert caller.post("/api/job/query", jobId=theirs.pk).msg == f"no job {theirs.pk}"
    assert caller.post("/api/job/query", jobId=5_000 - step).msg == f"no job {5_000 - step}"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/task/kill", "taskIds"),
        ("/api/task/retry", "taskIds"),
        ("/api/task/remove", "taskIds"),
        ("/api/job/status/set", "jobIds"),
        ("/api/task/rerun", "jobIdList"),
        ("/api/job/grant/set", "appNames"),
    ],
)
def test_a_list_of_a_hundred_thousand_is_refused_before_it_is_looked_at(
    path: str, name: str, caller: Caller, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(5):
        reply = caller.elsewhere(as_json=True).post(path, **{name: list(range(1, 100_001))})

    assert reply.code == 1
    assert f"{name} must hold at most 1000, not 100000" in reply.msg


def test_a_thousand_upstreams_are_looked_up_together(
    caller: Caller, django_assert_max_num_queries: Any
) -> None:
    upstreams = [after(number) for number in range(10_000, 11_000)]

    with django_assert_max_num_queries(25):
        reply = caller.elsewhere(as_json=True).post(SUBMIT, **NEW, dependencyList=upstreams)

    assert (reply.code, "there is no job 10000" in reply.msg) == (1, True)


@pytest.mark.parametrize("silly", [0, -1, 2**31, 2**63, "0", "-1"])
@pytest.mark.parametrize("path", ["readResult", "readExecuteLog"])
def test_attempts_that_cannot_be_are_refused(silly: Any, path: str, caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    reply = caller.post(f"/api/log/{path}", taskId=task.pk, attemptId=silly)

    assert (reply.code, reply.msg[:9]) == (1, "attemptId")


@pytest.mark.parametrize(
    ("name", "silly"),
    [("offset", -1), ("offset", 2**63), ("offset", 2**63 - 1), ("size", 0), ("size", 2**20 + 1)],
)
def test_places_that_cannot_be_read_are_refused(name: str, silly: int, caller: Caller) -> None:
    done = make_world(caller.app)["DONE"]

    reply = caller.post("/api/log/readResult", taskId=done, **{name: silly})

    assert (reply.code, name in reply.msg) == (1, True)


@pytest.mark.parametrize(
    "silly",
    [
        "x",
        "-1",
        "1-",
        "9" * 60,
        "1" * 64,
        "' OR 1=1",
        "1-1-1",
        "\u0661-1",
        "99999999999999999999-1",
    ],
)
@pytest.mark.parametrize("path", ["/api/job/list", "/api/job/query/taskIds"])
def test_a_cursor_of_ones_own_making_is_refused(silly: str, path: str, caller: Caller) -> None:
    which = {"jobId": make_job(app=caller.app).pk} if path.endswith("taskIds") else {}

    reply = caller.post(path, **which, cursor=silly)

    assert (reply.code, reply.msg[:7]) == (1, "cursor ")


# -- bombs -----------------------------------------------------------------------------------------

BOMBS = [
    (1, "* * * * * ?"),
    (1, "0 0 0 29 2 ? 2099"),
    (1, "0 0 0 30 2 ?"),
    (1, "0 0 0 29 2 MON"),
    (1, ",".join(["0-59/1"] * 140) + " * * * *"),
    (1, "0 0 0 L-30W 2 ?"),
    (1, "*/1" * 300),
    (1, "0" * 1_000),
    (1, "0 0 0 1 1 ? 1970-2099/129"),
    (1, "((((" * 250),
    (2, "s(1)"),
    (2, "s(999999999999999999)"),
    (2, "M(9999999)"),
    (2, "y('0001-01-01 00:00:00',1)"),
    (2, "s('1970-01-01 00:00:00',1)"),
    (2, "d('9999-12-31 23:59:59',9999)"),
    (3, "y(999999999)"),
    (3, "s(0)"),
    (4, "R/1970-01-01T00:00:00Z/PT1S"),
    (4, "R999999999999999999/PT1S"),
    (4, "R2/9999-12-31T23:59:59Z/P9999Y"),
    (4, "R/P0000000000000000000001D"),
    (4, "R/PT" + "9" * 900 + "S"),
    (4, "R/" + "P1Y" * 300),
]


@pytest.mark.parametrize(("kind", "text"), BOMBS, ids=range(len(BOMBS)))
def test_an_expression_costs_little_whatever_it_says(kind: int, text: str, caller: Caller) -> None:
    schedule = {"scheduleExpressionList": [added(text, kind)]}

    seen = caller.post("/api/job/preview", **NEW, **schedule, count=100)
    done = caller.post(SUBMIT, **NEW, **schedule)

    assert (seen.status, done.status) == (200, 200)
    assert seen.code == done.code
    assert done.code == 0 or done.msg.startswith("scheduleExpressionList")


@pytest.mark.parametrize(
    "offset",
    [
        *("m(-1)", "m(-999999999)", "y(999999999)", "s(1)", "d(-99999999999999999999)"),
        *("m(-1000000,0)", "d(" * 20, "d(1,2,3)", "y(-9999,9999)"),
    ],
)
def test_a_window_costs_little_whatever_it_says(offset: str, caller: Caller) -> None:
    upstream = submit(caller, "every second", "* * * * * ?")

    reply = caller.post(
        "/api/job/preview",
        **NEW,
        scheduleExpressionList=[added("* * * * * ?")],
        dependencyList=[after(upstream.pk, offset)],
        count=100,
    )

    assert reply.status == 200
    assert reply.code == 0 or reply.msg.startswith("dependencyList")


def test_a_rerun_of_all_time_is_refused_before_it_is_planned(caller: Caller) -> None:
    job = submit(caller, "every second", "* * * * * ?")
    ever = {"startDate": 1, "endDate": 253_402_300_799_999}

    for dry in (True, False):
        reply = caller.post("/api/task/rerun", jobIdList=[job.pk], **ever, dryRun=dry)
        assert (reply.code, "10000" in reply.msg) == (1, True)


def test_what_hangs_on_all_time_is_not_rerun_either(caller: Caller) -> None:
    source = submit(caller, "every second", "* * * * * ?")
    same = submit(caller, "same run", dependencyList=[after(source.pk, "")])
    daily = submit(caller, "same day", dependencyList=[after(source.pk, "cd")])
    ever = {"startDate": 1, "endDate": 253_402_300_799_999}

    for job in (same, daily):
        reply = caller.post("/api/task/rerun", jobIdList=[job.pk], **ever, dryRun=True)
        assert (reply.code, "10000" in reply.msg) == (1, True)


def test_a_fill_and_a_plan_of_all_time_are_bounded(caller: Caller) -> None:
    job = submit(caller, "every second", "* * * * * ?")
    ever = {"from": 1, "to": 253_402_300_799_999}

    assert caller.post("/api/job/fill", jobId=job.pk, **ever).code == 1
    assert "7 days" in caller.post("/api/job/plan", **ever).msg
    week = caller.post("/api/job/plan", **{"from": 10**12, "to": 10**12 + 7 * 86_400_000})
    assert week.status == 200
