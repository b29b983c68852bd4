"""``preview``: questions with known answers, and the command around them (D-71)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs.rules.preview import answer

VECTORS = Path(__file__).parent.parent / "vectors" / "preview"
NOW = datetime(2026, 3, 2, tzinfo=UTC)
NOON = {"type": 1, "expression": "0 0 12 * * ?", "zone": "Asia/Shanghai", "at": "2026-03-02"}


def _cases() -> Iterator[Any]:
    for path in sorted(VECTORS.glob("*.json")):
        for case in json.loads(path.read_text(encoding="utf-8")):
            yield pytest.param(case["q"], case["expect"], id=case["id"])


@pytest.mark.parametrize(("question", "expected"), list(_cases()))
def test_every_question_of_the_vectors(question: dict[str, Any], expected: dict[str, Any]) -> None:
    found = answer(question, zone="Asia/Shanghai", now=NOW)

    if expected.get("valid_or_empty"):
        assert not found["valid"] or found["times"] == []
    elif not expected["valid"]:
        assert not found["valid"]
        assert found["msg"]
    else:
        assert {key: _read(found[key]) for key in expected} == {
            key: _read(value) for key, value in expected.items()
        }


def _read(value: Any) -> Any:
    """Return times as instants; an offset is required, since naive and aware never compare."""
    if isinstance(value, list):
        return [_read(each) for each in value]
    return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else value


def test_times_carry_the_offset_of_the_zone() -> None:
    found = answer({**NOON, "count": 2}, zone="UTC", now=NOW)

    assert found["times"] == ["2026-03-02T12:00:00+08:00", "2026-03-03T12:00:00+08:00"]


def test_what_a_question_leaves_out_is_filled_in() -> None:
    """The zone of the house, now, and one slot."""
    found = answer({"type": 1, "expression": "0 0 12 * * ?"}, zone="Asia/Shanghai", now=NOW)

    assert found["times"] == ["2026-03-02T12:00:00+08:00"]


def test_only_the_first_run_of_a_delay_is_known() -> None:
    """D-17."""
    question = {"type": 3, "expression": "h(1)", "at": "2026-03-02T00:00:00Z", "count": 5}

    assert answer(question, zone="UTC", now=NOW)["times"] == ["2026-03-02T01:00:00+00:00"]
    assert answer({**question, "before": True}, zone="UTC", now=NOW)["times"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"zone": "Mars/Olympus"}, "zone 'Mars/Olympus' is unknown"),
        ({"zone": "../etc/passwd"}, "is unknown"),
        ({"zone": ""}, "is unknown"),
        ({"at": "noon"}, "at 'noon' is no time"),
        ({"at": "9999-12-31T23:59:59"}, "too near the end"),
        ({"anchor": "yesterday"}, "anchor 'yesterday' is no time"),
        ({"type": 5}, "type '5' is unknown"),
        ({"type": True}, "type 'True' is unknown"),
        ({"type": None}, "1 CRON"),
        ({"expression": None}, "expression must be a text"),
        ({"expression": 5}, "expression must be a text"),
        ({"count": 0}, "count must be a whole number from 1"),
        ({"count": 10**9}, "count must be a whole number from 1"),
        ({"count": "5"}, "count must be a whole number from 1"),
        ({"offset": 5}, "offset must be a text"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_too(
    change: dict[str, object], words: str
) -> None:
    found = answer({**NOON, **change}, zone="UTC", now=NOW)

    assert found["valid"] is False
    assert words in str(found["msg"])


def test_the_command_answers_one_question(capsys: pytest.CaptureFixture[str]) -> None:
    call_command(
        "preview",
        *("--type", "1", "--expression", "0 0 12 * * ?", "--zone", "Asia/Shanghai"),
        *("--at", "2026-03-02T00:00:00", "--count", "2"),
    )

    assert json.loads(capsys.readouterr().out) == {
        "valid": True,
        "times": ["2026-03-02T12:00:00+08:00", "2026-03-03T12:00:00+08:00"],
    }


def test_the_command_looks_back_and_takes_an_anchor(capsys: pytest.CaptureFixture[str]) -> None:
    call_command(
        "preview",
        *("--type", "2", "--expression", "M(1)", "--zone", "Asia/Shanghai", "--before"),
        *("--at", "2026-04-01T00:00:00", "--anchor", "2026-01-31T09:00:00"),
    )

    assert json.loads(capsys.readouterr().out)["times"] == [
        "2026-03-31T09:00:00+08:00",
        "2026-02-28T09:00:00+08:00",
    ]


def test_the_command_shows_a_window(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("preview", "--offset", "", "--zone", "UTC", "--at", "2026-03-04T01:00:00")

    assert json.loads(capsys.readouterr().out) == {
        "valid": True,
        "from": "2026-03-04T01:00:00+00:00",
        "to": "2026-03-04T01:00:00+00:00",
    }


def test_a_batch_is_answered_in_its_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = [{**NOON, "expression": "nonsense"}, NOON]
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(batch)))

    call_command("preview", "--batch", "-")

    assert [one["valid"] for one in json.loads(capsys.readouterr().out)] == [False, True]


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[{]"])
def test_a_batch_that_is_no_list_of_questions_is_an_error(tmp_path: Path, text: str) -> None:
    batch = tmp_path / "batch.json"
    batch.write_text(text)

    with pytest.raises(CommandError, match="--batch"):
        call_command("preview", "--batch", str(batch))
