"""Jobs as a document, without a server: reading, comparing, and YAML without surprises."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.rules.enums import JobStatus
from sentinel_project.client.document import DocumentError, wanted_jobs, yamltext
from sentinel_project.client.document.changes import difference
from sentinel_project.client.document.entries import DEFAULTS, entry_of

JOB = {"jobName": "x", "jobType": "shell", "content": "date"}
NOW: dict[str, Any] = {
    **JOB,
    **DEFAULTS,
    "jobId": 7,
    "appName": "mine",
    "status": 1,
    "timeZone": "Asia/Shanghai",
    "dependencyList": None,
    "scheduleExpressionList": None,
}
NAMES = {7: "x", 8: "extract", 9: "load"}

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.floats(-1e300, 1e300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_is_written_reads_back_as_it_was(value: Any) -> None:
    assert yamltext.load(yamltext.dump({"x": value})) == {"x": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("2026-03-02", "2026-03-02"),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("010", "010"),
        ("true", True),
        ("-7", -7),
        ("1.5", 1.5),
        ("~", None),
        ("", None),
        (".inf", ".inf"),
    ],
)
def test_only_plain_json_words_are_more_than_text(text: str, value: Any) -> None:
    found = yamltext.load(f"x: {text}")["x"]

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2", "a: [", "{", "!!python/object:os.system x", "a: \t"]
)
def test_what_is_no_plain_yaml_is_refused(text: str) -> None:
    with pytest.raises(yamltext.TextError):
        yamltext.load(text)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "a document is an object"),
        ([], "a document is an object"),
        ({"job": []}, "a document is an object"),
        ({"jobs": {}}, "jobs must be a list"),
        ({"jobs": [1]}, r"jobs\[0\] must be an object"),
        ({"jobs": [{"jobType": "shell"}]}, r"jobs\[0\]\.jobName is missing"),
        ({"jobs": [{**JOB, "content": 7}]}, r"jobs\[0\]\.content is missing, or no text"),
        ({"jobs": [JOB, JOB]}, "has the job 'x' twice"),
        ({"jobs": [{**JOB, "jobId": 1}]}, "jobId does not belong"),
        ({"jobs": [{**JOB, "status": "TRASHED"}]}, "status must be ACTIVE, DISABLED or PAUSED"),
        ({"jobs": [{**JOB, "status": "BUSY"}]}, "status must be one of ACTIVE"),
        ({"jobs": [{**JOB, "status": True}]}, "status must be one of ACTIVE"),
        ({"jobs": [{**JOB, "activeEndDate": "soon"}]}, "activeEndDate is no ISO 8601 instant"),
        ({"jobs": [{**JOB, "activeEndDate": "2026-03-02"}]}, "activeEndDate needs an offset"),
        ({"jobs": [{**JOB, "dependencyList": "y"}]}, "dependencyList must be a list of objects"),
        ({"jobs": [{**JOB, "dependencyList": [{}]}]}, "names either job, by its name, or preJobId"),
        (
            {"jobs": [{**JOB, "dependencyList": [{"job": "y", "offset": "cd"}]}]},
            "has no offset; it has commonStrategy, job, offsetStrategy, preJobId",
        ),
        (
            {"jobs": [{**JOB, "dependencyList": [{"job": "y"}, {"job": "y"}]}]},
            "waits for the same job twice",
        ),
        ({"jobs": [{**JOB, "scheduleExpressionList": [{}]}]}, "needs an expression"),
        (
            {"jobs": [{**JOB, "scheduleExpressionList": [{"cron": "* * * * *"}]}]},
            "has no cron; it has expression, expressionType",
        ),
    ],
)
def test_a_wrong_entry_is_named(document: Any, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        wanted_jobs(document)


def test_words_and_instants_stand_for_the_wires_numbers() -> None:
    (wanted,) = wanted_jobs(
        {
            "jobs": [
                {
                    **JOB,
                    "status": "PAUSED",
                    "contentType": "SCRIPT",
                    "activeStartDate": "1970-01-01T08:00:01+08:00",
                    "bizGroups": [1, 2],
                    "dependencyList": [{"job": "y", "commonStrategy": "ANYONE"}],
                    "scheduleExpressionList": [{"expressionType": "RATE", "expression": "5m"}],
                }
            ]
        }
    )

    assert wanted.status is JobStatus.PAUSED
    assert {name: wanted.fields[name] for name in ("contentType", "activeStartDate")} == {
        "contentType": 2,
        "activeStartDate": 1000,
    }
    assert wanted.fields["bizGroups"] == ",1,2,"
    assert (wanted.dependencies[0].strategy, wanted.dependencies[0].offset) == (3, "cd")
    assert (wanted.schedule[0].kind, wanted.schedule[0].text) == (2, "5m")


def lines(entry: dict[str, Any], **now: Any) -> list[str]:
    (wanted,) = wanted_jobs({"jobs": [{**JOB, **entry}]})
    return list(difference(wanted, {**NOW, **now}, NAMES).lines)


def test_a_job_that_is_as_it_shall_be_differs_in_nothing() -> None:
    assert lines({}) == []
    assert lines({}, timeZone="Europe/Berlin", status=5) == []
    assert lines({"status": "ACTIVE"}, status=3) == []


def test_what_is_left_out_goes_back_to_its_default() -> None:
    assert lines({}, priority=5, params={"a": 1}) == ["params: {'a': 1} -> {}", "priority: 5 -> 1"]


def test_a_script_is_compared_line_by_line() -> None:
    assert lines({"content": "a\nb\nc\n"}, content="a\nB\nc\n") == [
        "content:",
        "  @@ -1,3 +1,3 @@",
        "   a",
        "  -B",
        "  +b",
        "   c",
    ]


def test_a_change_set_of_upstreams_removes_first() -> None:
    before = [
        {"preJobId": 8, "commonStrategy": 1, "offsetStrategy": "cd"},
        {"preJobId": 9, "commonStrategy": 1, "offsetStrategy": "cd"},
    ]
    after = [{"job": "new"}, {"job": "load", "offsetStrategy": "d(-1)"}]

    assert lines({"dependencyList": after}, dependencyList=before) == [
        "DELETE upstream extract 'cd' ALL",
        "ADD upstream new 'cd' ALL",
        "EDIT upstream load 'd(-1)' ALL",
    ]


def test_a_change_set_of_expressions_leaves_alike_ones_alone() -> None:
    before = [
        {"expressionId": n, "expressionType": 1, "expression": f"{n} * * * *"} for n in (1, 2, 3)
    ]
    after = [{"expression": "3 * * * *"}, {"expression": "9 * * * *"}]

    assert lines({"scheduleExpressionList": after}, scheduleExpressionList=before) == [
        "EDIT CRON '9 * * * *' (was '1 * * * *')",
        "DELETE CRON '2 * * * *'",
    ]


def test_a_one_off_stays_one() -> None:
    with pytest.raises(DocumentError, match="isTemp never changes"):
        lines({"isTemp": True})


jobs = st.fixed_dictionaries(
    {"content": texts.filter(str.strip), "params": st.dictionaries(texts, values, max_size=3)},
    optional={
        "priority": st.integers(0, 10),
        "isSerial": st.booleans(),
        "status": st.sampled_from([1, 2, 5]),
        "bizGroups": st.sampled_from(["", ",1,", ",3,2,"]),
        "activeStartDate": st.integers(0, 253402300799999),
        "misfirePolicy": st.sampled_from(["all", "last", "skip"]),
        "dependencyList": st.lists(
            st.fixed_dictionaries(
                {
                    "preJobId": st.integers(8, 12),
                    "commonStrategy": st.sampled_from([1, 2, 3]),
                    "offsetStrategy": st.sampled_from(["", "cd", "d(-1)"]),
                }
            ),
            max_size=3,
            unique_by=lambda entry: entry["preJobId"],
        ),
        "scheduleExpressionList": st.lists(
            st.fixed_dictionaries(
                {
                    "expressionId": st.integers(1, 99),
                    "expressionType": st.sampled_from([1, 2, 3, 4]),
                    "expression": texts,
                }
            ),
            max_size=3,
            unique_by=lambda entry: entry["expressionId"],
        ),
    },
)


@given(jobs)
def test_a_definition_that_is_exported_differs_in_nothing(changes: dict[str, Any]) -> None:
    definition = {**NOW, **changes}
    text = yamltext.dump({"jobs": [entry_of(definition, NAMES)]})

    (wanted,) = wanted_jobs(yamltext.load(text))

    assert list(difference(wanted, definition, NAMES).lines) == []
