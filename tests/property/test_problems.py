"""Everything wrong with a request is told at once, field by field, and what is accepted (W-4)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework import serializers

from jobs.serializers import PreviewJobParams
from sentinel_project.errors import InvalidParameters
from sentinel_project.wire import jsontext
from sentinel_project.wire.fields import MAX_LIST, ObjectField, WireField
from sentinel_project.wire.params import Params
from tests.unit.test_wire_docs import endpoints

#: What strangers send where something else belongs.
SILLY: list[Any] = [
    *(
        None,
        True,
        "",
        " ",
        "x",
        "0x1",
        "1.0",
        "\uff11",
        1.5,
        1.0,
        -1,
        2**31,
        2**63,
        2**70,
        -(2**63),
    ),
    *([], [[]], {}, {"a": 1}, ["x"], [None], [True], [0], [{}], "x" * 70_000, "[]", "{", "nan"),
    *(["x"] * (MAX_LIST + 1), [1, 1.5], "../../etc/passwd", "javascript:alert(1)"),
]
#: What no field ever sees, by the text it is written as.
UNUSABLE = ["NaN", "-Infinity", "1e999", '"\\u0000"', '"\\ud800"', "9" * 5_000, "[" * 40 + "]" * 40]
UNKNOWN = ["jobid", "job_id", "nonsense", "__class__", "a.b", "a[0]", "é", '""']
FORMS = sorted({form for view in endpoints().values() for form in view.params.forms()}, key=str)


def refused_by(field: Any, value: Any) -> bool:
    try:
        field.run_validation(value)
    except (serializers.ValidationError, serializers.SkipField):
        return True
    return False


def silly_for(form: type[Params]) -> dict[str, list[Any]]:
    """Return what each field refuses. A preview's jobId decides which form it is."""
    fields = dict(form().fields)
    if form is PreviewJobParams:
        del fields["jobId"]
    return {name: [v for v in SILLY if refused_by(each, v)] for name, each in fields.items()}


REFUSED = {form: silly_for(form) for form in FORMS}


@st.composite
def requests(draw: Any) -> tuple[type[Params], dict[str, Any], dict[str, str], list[str]]:
    """Return a form, bad values by field, values no field sees by field, and unknown names."""
    form = draw(st.sampled_from([form for form in FORMS if REFUSED[form]]))
    names = draw(st.lists(st.sampled_from(sorted(REFUSED[form])), unique=True, min_size=1))
    unusable = {
        name: draw(st.sampled_from(UNUSABLE)) for name in names if draw(st.integers(0, 4)) == 0
    }
    silly = {
        name: draw(st.sampled_from(REFUSED[form][name]))
        for name in names
        if name not in unusable and REFUSED[form][name]
    }
    unknown = draw(st.lists(st.sampled_from(UNKNOWN), unique=True, max_size=3))
    return form, silly, unusable, unknown


def problems_of(form: type[Params], data: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(InvalidParameters) as refusal:
        form.read(data)
    return refusal.value.problems


def names(problem: str, field: str) -> bool:
    return problem.startswith(tuple(f"{field}{mark}" for mark in " .[:"))


@given(requests())
def test_every_bad_field_is_named_whatever_else_is_wrong(
    request_: tuple[type[Params], dict[str, Any], dict[str, str], list[str]],
) -> None:
    form, silly, unusable, unknown = request_
    strange = {name: jsontext.parse(text, name=name) for name, text in unusable.items()}

    problems = problems_of(form, silly | strange | {name.strip('"'): 1 for name in unknown})

    missing = [n for n, f in form().fields.items() if f.required and n not in {*silly, *unusable}]
    for name in [*silly, *unusable, *missing, *unknown]:
        assert any(names(problem, name) for problem in problems), (name, problems)
    allowed = {*silly, *unusable, *missing, *unknown}
    assert all(any(names(p, name) for name in allowed) for p in problems), problems
    assert all(problem.isprintable() and len(problem) < 1000 for problem in problems)


@given(requests())
def test_what_is_accepted_is_told_with_every_refusal(
    request_: tuple[type[Params], dict[str, Any], dict[str, str], list[str]],
) -> None:
    form, silly, _, _ = request_
    # Of a list and an object it is told where inside them something is wrong.
    fields = {
        n: f
        for n, f in form().fields.items()
        if isinstance(f, WireField) and not isinstance(f, ObjectField)
    }

    problems = problems_of(form, silly | dict.fromkeys(UNKNOWN, 1))

    for name in set(silly) & set(fields):
        (said,) = (problem for problem in problems if names(problem, name))
        assert fields[name].accepts in said


def test_of_thousands_of_problems_the_first_are_told() -> None:
    form = endpoints()["/api/job/dependency/set"].params

    with pytest.raises(InvalidParameters) as refusal:
        form.read({"jobId": 1, "dependencyList": [{}] * MAX_LIST})

    assert str(refusal.value).endswith("; and 1900 more problems")
    assert len(str(refusal.value)) < 20_000


def test_every_field_refuses_something() -> None:
    """Else the tests above would say nothing of it."""
    assert [
        (form, name) for form, silly in REFUSED.items() for name, each in silly.items() if not each
    ] == []
