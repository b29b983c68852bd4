"""Wire fields: what each accepts, what it becomes, and that all else is refused by name (W-4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework import serializers

from jobs.rules.enums import JobStatus, MisfirePolicy
from sentinel_project.wire.contacts import UrlField
from sentinel_project.wire.fields import (
    MAX_ID,
    CodeField,
    FlagField,
    InstantField,
    IntegerField,
    LabelsField,
    SecondsField,
    TextField,
    WireField,
    WordField,
    ZoneField,
)

FIELDS: dict[str, WireField] = {
    "integer": IntegerField(0, 10),
    "seconds": SecondsField(0, 100),
    "instant": InstantField(),
    "code": CodeField(JobStatus, among=[JobStatus.ACTIVE, JobStatus.PAUSED]),
    "word": WordField(MisfirePolicy),
    "flag": FlagField(),
    "text": TextField(low=1, high=3),
    "bytes": TextField(max_bytes=3),
    "labels": LabelsField(),
    "zone": ZoneField(),
    "url": UrlField(),
}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("integer", 10, 10),
        ("integer", "7", 7),
        ("integer", "007", 7),
        ("seconds", 100, timedelta(seconds=100)),
        ("seconds", "3", timedelta(seconds=3)),
        ("instant", 1, datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)),
        ("instant", 0, None),
        ("instant", "0", None),
        ("code", 5, JobStatus.PAUSED),
        ("code", "1", JobStatus.ACTIVE),
        ("word", "last", MisfirePolicy.LAST),
        ("flag", True, True),
        ("flag", 0, False),
        ("flag", "true", True),
        ("flag", "false", False),
        ("text", " a ", " a "),
        ("bytes", "", ""),
        ("bytes", "é1", "é1"),
        ("labels", "", ()),
        ("labels", ",1,2,", (1, 2)),
        ("labels", "2", (2,)),
        ("zone", "Europe/Berlin", "Europe/Berlin"),
        ("url", "https://example.org/a?b=1", "https://example.org/a?b=1"),
        ("url", "", ""),
    ],
)
def test_a_field_takes_the_published_forms(name: str, given: object, expected: object) -> None:
    value = FIELDS[name].run_validation(given)

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *[("integer", silly) for silly in (-1, 11, 1.5, 1.0, True, False, "", " 1", "1.0", "x")],
        ("integer", None),
        ("integer", []),
        ("integer", {}),
        *[("integer", silly) for silly in ("\u0663", "1_0", 10**30, "9" * 400)],
        *[("seconds", silly) for silly in (-1, 101, 0.5, True, "1s", None)],
        *[("instant", silly) for silly in (-1, 253_402_300_800_000, 1.5, "2026-03-04", True)],
        *[("code", silly) for silly in (2, 3, 0, "ACTIVE", True, 1.0, None)],
        *[("word", silly) for silly in ("ALL", "", 1, None, ["all"])],
        *[("flag", silly) for silly in (2, "yes", "True", 1.0, None, "")],
        ("flag", []),
        *[("text", silly) for silly in ("", "  ", "abcd", 12, True, None, ["a"])],
        *[("bytes", silly) for silly in ("éé", 1)],
        *[("labels", silly) for silly in ("1,,2", ",,", ",0,", "a", "1 2", 1, [1], "9" * 25)],
        *[("zone", silly) for silly in ("Nowhere/Else", "../etc/passwd", "", "UTC+8", 8)],
        *[("url", silly) for silly in ("ftp://x", "javascript:alert(1)", "http://", "x", 1)],
        ("url", "http://[::1"),
        ("url", "https://x/" + "a" * 1024),
    ],
)
def test_a_field_refuses_the_rest_and_says_what_it_takes(name: str, given: object) -> None:
    field = FIELDS[name]

    with pytest.raises(serializers.ValidationError) as refused:
        field.run_validation(given)

    (sentence,) = refused.value.detail
    assert str(sentence).startswith(f"must be {field.accepts}, not ")
    assert len(str(sentence)) < 300


@given(st.integers(-5, 15))
def test_a_range_holds_for_numbers_and_for_their_texts(number: int) -> None:
    field = IntegerField(0, 10)

    def outcome(data: Any) -> object:
        try:
            return field.run_validation(data)
        except serializers.ValidationError:
            return None

    assert outcome(number) == outcome(str(number)) == (number if 0 <= number <= 10 else None)


@given(st.lists(st.integers(1, MAX_ID), max_size=20, unique=True))
def test_labels_come_back_as_they_went_in(ids: list[int]) -> None:
    field = LabelsField()

    text = field.to_representation(tuple(ids))

    assert field.run_validation(text) == tuple(ids)
