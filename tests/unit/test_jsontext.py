"""Strict JSON: what it takes, and that everything else is refused by name (W-5)."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_project.errors import InvalidParameters
from sentinel_project.wire import jsontext

_STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _STORABLE
VALUES = st.recursive(
    _SCALARS.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_STORABLE, inner, max_size=4),
    max_leaves=20,
)


def problems(text: str) -> list[str]:
    return jsontext.problems_of(jsontext.parse(text, name="params"), name="params")


@given(VALUES)
def test_whatever_can_be_stored_comes_through_unchanged(value: object) -> None:
    text = json.dumps(value)

    parsed = jsontext.parse(text, name="params")

    assert parsed == value
    assert jsontext.problems_of(parsed) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param('{"a": NaN}', "params.a", id="NaN"),
        pytest.param('{"a": [1, -Infinity]}', "params.a[1]", id="infinity"),
        pytest.param('{"a": 1e999}', "params.a", id="overflow"),
        pytest.param('{"a": {"b": -1e999}}', "params.a.b", id="negative overflow"),
        pytest.param('{"a": %s}' % ("9" * 5000), "params.a", id="5,000 digits"),
        pytest.param('{"a": %s}' % ("9" * 309), "params.a", id="more than a double holds"),
        pytest.param('{"a": "x\\u0000"}', "params.a", id="NUL"),
        pytest.param('{"a": "\\ud800"}', "params.a", id="lone high surrogate"),
        pytest.param('{"a": "\\udc00\\ud800"}', "params.a", id="surrogates the wrong way"),
        pytest.param('{"a\\u0000": 1}', "params", id="NUL in a name"),
        pytest.param('{"a": 1, "a": 1}', "params.a", id="the same name twice"),
    ],
)
def test_what_cannot_be_stored_is_named(text: str, named: str) -> None:
    (problem,) = problems(text)

    assert re.search(rf"(^|in ){re.escape(named)} ", problem)
    assert problem.isprintable()


def test_a_surrogate_pair_is_one_character() -> None:
    assert problems('{"a": "\\ud83d\\ude00"}') == []


@pytest.mark.parametrize(
    "text", ["", "{", "{'a': 1}", '{"a": 1}x', "[1,]", '"a\tb"', "01", "\ufeff1"]
)
def test_what_is_not_json_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidParameters, match=r"^params is not JSON"):
        jsontext.parse(text, name="params")


@pytest.mark.parametrize("bracket", ["[]", "{}"])
def test_thirty_two_levels_are_the_limit(bracket: str) -> None:
    def nested(depth: int) -> str:
        inner = "1"
        for _ in range(depth):
            inner = f"[{inner}]" if bracket == "[]" else f'{{"a":{inner}}}'
        return inner

    assert problems(nested(32)) == []
    (problem,) = problems(nested(33))
    assert "deeper than the 32 levels" in problem


def test_a_tower_of_brackets_is_refused_and_not_recursed_into() -> None:
    with pytest.raises(InvalidParameters, match="params is nested deeper than the 32 levels"):
        jsontext.parse("[" * 1_000_000, name="params")


def test_of_many_problems_some_are_told() -> None:
    assert 1 < len(problems("[" + "NaN," * 100_000 + "NaN]")) < 100
