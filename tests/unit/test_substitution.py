"""Placeholders: what they stand for, what is left alone, and where a malformed one is (D-86)."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_project.errors import InvalidParameters
from tasks_app.rules.substitution import MAX_RENDERED, Values, parse, render_params

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "substitution.json").read_text(encoding="utf-8")
)
SHANGHAI = "Asia/Shanghai"
DUE = "2026-03-14T09:30:00+08:00"


def values(data: str = DUE, zone: str = SHANGHAI, **params: Any) -> Values:
    at = datetime.fromisoformat(data).astimezone(ZoneInfo(zone))
    due = datetime.fromisoformat(DUE).astimezone(ZoneInfo(SHANGHAI))
    return Values(
        job_id=7, task_id=11, attempt_number=2, schedule_time=due, data_time=at, params=params
    )


def rendered(text: str, told: Values | None = None) -> str:
    told = told or values()
    return parse(text, told.params).render(told)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["id"])
def test_every_case_of_the_vectors(case: dict[str, Any]) -> None:
    told = values(case["data_time"], case["zone"])

    if case.get("error"):
        with pytest.raises(InvalidParameters):
            rendered(case["text"], told)
    else:
        assert rendered(case["text"], told) == case["expected"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${date:yyyy-MM-dd}", "2026-03-14"),
        ("${date:+1d-1M:yyyy-MM-dd}", "2026-02-15"),
        ("${date:-1d}", "2026-03-13T09:30:00+08:00"),
        ("${date:}", DUE),
        ("${date:HH:mm}", "09:30"),
        ("${date::HH:mm}", "09:30"),
        ("${date:/M:yyyyMMdd}", "20260301"),
        ("${date:+1M/M-1d:yyyyMMdd}", "20260331"),
        ("${date:/w:yyyyMMdd}", "20260309"),
        ("${date:/h-90s:HH:mm:ss}", "08:58:30"),
        ("${jobId}/${taskId}/${attemptId}", "7/11/2"),
        ("${dataTime}", DUE),
        ("${scheduleTime}", DUE),
        ("${scheduleTime:yyyyMMddHH}", "2026031409"),
        ("${dataTime:-1y/y:yyyy-MM-dd}", "2025-01-01"),
    ],
)
def test_the_general_form_and_names(text: str, expected: str) -> None:
    assert rendered(text) == expected


@pytest.mark.parametrize(
    ("data", "zone", "text", "expected"),
    [
        ("2026-01-31T05:00:00+08:00", SHANGHAI, "${date:+1M}", "2026-02-28T05:00:00+08:00"),
        ("2028-01-31T05:00:00+08:00", SHANGHAI, "${date:+1M}", "2028-02-29T05:00:00+08:00"),
        ("2026-01-31T05:00:00+08:00", SHANGHAI, "${date:+1M+1M}", "2026-03-28T05:00:00+08:00"),
        ("2026-01-31T05:00:00+08:00", SHANGHAI, "${date:+2M}", "2026-03-31T05:00:00+08:00"),
        ("2028-02-29T05:00:00+08:00", SHANGHAI, "${date:-1y}", "2027-02-28T05:00:00+08:00"),
        ("2028-02-29T05:00:00+08:00", SHANGHAI, "${date:+4y}", "2032-02-29T05:00:00+08:00"),
        ("2026-01-31T05:00:00+08:00", SHANGHAI, "${date:+1d-1M}", "2026-01-01T05:00:00+08:00"),
        ("2026-01-31T05:00:00+08:00", SHANGHAI, "${date:-1M+1d}", "2026-01-01T05:00:00+08:00"),
        # A day keeps the wall clock, 24 hours do not.
        ("2026-03-28T12:00:00+01:00", "Europe/Berlin", "${date:+1d}", "2026-03-29T12:00:00+02:00"),
        ("2026-03-28T12:00:00+01:00", "Europe/Berlin", "${date:+24h}", "2026-03-29T13:00:00+02:00"),
        # A wall time that is skipped is the first instant after the gap; of two, the first.
        ("2026-03-28T02:30:00+01:00", "Europe/Berlin", "${date:+1d}", "2026-03-29T03:00:00+02:00"),
        ("2026-10-24T02:30:00+02:00", "Europe/Berlin", "${date:+1d}", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30:00+01:00", "Europe/Berlin", "${date:+0d}", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T02:30:00+01:00", "Europe/Berlin", "${date:/h}", "2026-10-25T02:00:00+01:00"),
        # The day is the job's, not UTC's.
        ("2026-03-31T16:30:00+00:00", SHANGHAI, "${date:/d}", "2026-04-01T00:00:00+08:00"),
    ],
)
def test_shifts_at_the_ends_of_months_and_where_clocks_change(
    data: str, zone: str, text: str, expected: str
) -> None:
    assert rendered(text, values(data, zone)) == expected


def test_a_rerun_of_an_older_day_is_told_that_day_and_its_own_due_time() -> None:
    told = values("2025-12-31T00:30:00+08:00")

    assert rendered("$YTD() ${date:yyyy} ${scheduleTime:yyyy}", told) == "20251231 2025 2026"


@pytest.mark.parametrize(
    "text",
    [
        "${HOME} $HOME $$ $1 $# $? $@ ${#x} ${x:-y} ${x%%.*} $(date) `date`",
        "$YTD ${YTD} ${YTD:x} $ YTD() YTD(1)",
        "${date} ${data} ${jobIds} ${jobId_x} ${taskid} {jobId} $jobId",
        "awk '{print $1}' | sed 's/\\$//' \\n \\${HOME} \\\\",
        "${day}",
        "单引号 ' 和 emoji 🙂",
    ],
)
def test_what_is_no_placeholder_is_left_as_it_is(text: str) -> None:
    assert rendered(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\$YTD(1)", "$YTD(1)"),
        (r"\${YTD(1)} $YTD(yyyy)", "${YTD(1)} 2026"),
        (r"\${jobId}", "${jobId}"),
        (r"\\${jobId}", r"\${jobId}"),
        (r"\${date:nonsense", "${date:nonsense"),
        (r"\${day}", "${day}"),
    ],
)
def test_a_backslash_keeps_a_form_literal(text: str, expected: str) -> None:
    assert rendered(text, values(day="x")) == expected


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a\n  $YTD(1", "line 2, column 3", "closed by )"),
        ("${YTD(1)", "line 1, column 1", "closed by )}"),
        ("x $YTD(1\n)", "line 1, column 3", "closed by )"),
        ("$YTD(a,b)", "line 1, column 1", "must be an integer, not 'a'"),
        ("$YTD(,yyyy)", "line 1, column 1", "must be an integer"),
        ("$YTD(1,)", "line 1, column 1", "the format is empty"),
        ("$YTD(1,2,3)", "line 1, column 1", "at most two"),
        ("$YTD(9999999)", "line 1, column 1", "from -999999"),
        ("$YTD(99999999999999999999999)", "line 1, column 1", "from -999999"),
        ("${date:+1x}", "line 1, column 1", "'+1x' is no shift"),
        ("${date:+1d-:yyyy}", "line 1, column 1", "'-' is no shift"),
        ("${date:+1d:}", "line 1, column 1", "format behind the colon is empty"),
        ("${date:yyyy", "line 1, column 1", "closed by }"),
        ("${jobId", "line 1, column 1", "closed by }"),
        ("${jobId:yyyy}", "line 1, column 1", "behind jobId comes }"),
        ("${taskId#x}", "line 1, column 1", "behind taskId comes }"),
        ("${dataTime-x}", "line 1, column 1", "or a colon"),
    ],
)
def test_a_malformed_form_is_an_error_with_its_place(text: str, where: str, what: str) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        parse(text)

    (problem,) = refusal.value.problems
    assert problem.startswith(f"{where}: ")
    assert what in problem


def test_all_malformed_forms_are_told_together() -> None:
    with pytest.raises(InvalidParameters) as refusal:
        parse("$YTD(a,b)\n${jobId:x}")

    assert [problem.split(":")[0] for problem in refusal.value.problems] == [
        "line 1, column 1",
        "line 2, column 1",
    ]


@pytest.mark.parametrize("text", ["$YTD(-999999)", "${date:+9999y}", "${date:-999999M}"])
def test_a_date_out_of_the_calendar_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(InvalidParameters, match="line 1, column 3: it leads out of the calendar"):
        rendered(f"x {text}")


def test_parameters_are_filled_in_by_name_and_spelled_as_json_does() -> None:
    told = values(day="a 'b'", count=3, ratio=1.5, is_full=True, none=None, tables=["é", 1])

    text = "${day}|${count}|${ratio}|${is_full}|${none}|${tables}|${other}"

    assert rendered(text, told) == "a 'b'|3|1.5|true|null|[\"é\", 1]|${other}"


def test_what_a_parameter_holds_is_not_filled_in_a_second_time() -> None:
    assert rendered("${a}", values(a="${jobId}$YTD()${a}")) == "${jobId}$YTD()${a}"


def test_texts_in_parameters_are_filled_in_at_any_depth() -> None:
    params = {"day": "$YTD(-1)", "deep": [{"x": "${jobId}"}, 1, None], "ref": "${day}", "n": 1.5}

    assert render_params(params, values()) == {
        "day": "20260313",
        "deep": [{"x": "7"}, 1, None],
        "ref": "${day}",
        "n": 1.5,
    }


def test_a_malformed_form_in_a_parameter_names_the_parameter() -> None:
    with pytest.raises(InvalidParameters, match=r"params\.day: line 1, column 1: .*not closed"):
        render_params({"day": "$YTD("}, values())


def test_a_text_that_would_grow_without_end_is_refused() -> None:
    text = "${a}" * 1000

    with pytest.raises(InvalidParameters, match=str(MAX_RENDERED)):
        rendered(text, values(a="x" * 10_000))


LITERALS = st.text(alphabet=st.sampled_from("abYTD(){}:,-+ \n'\"é0"), max_size=8)
FORMS = st.sampled_from(
    ["$YTD()", "${YTD(-1,yyyy)}", "${date:+1d:MM}", "${jobId}", "${p}", "$YTD(HH)", "${dataTime}"]
)


@given(st.lists(st.tuples(LITERALS, FORMS), max_size=6), LITERALS)
def test_text_between_placeholders_is_kept_and_each_is_filled_by_itself(
    pairs: list[tuple[str, str]], rest: str
) -> None:
    told = values(p="#")
    text = "".join(literal + form for literal, form in pairs) + rest

    expected = "".join(literal + rendered(form, told) for literal, form in pairs) + rest

    assert rendered(text, told) == expected


@given(st.text(max_size=200))
def test_text_without_a_dollar_is_itself(text: str) -> None:
    plain = text.replace("$", "")

    assert rendered(plain) == plain


@given(st.text(alphabet="$\\{}()YTDdate:jobIp+-1,y M\n", max_size=60))
def test_any_text_is_rendered_or_refused_with_a_place(text: str) -> None:
    try:
        rendered(text, values(p="v"))
    except InvalidParameters as refusal:
        assert all(problem.startswith("line ") for problem in refusal.problems)  # noqa: PT017
