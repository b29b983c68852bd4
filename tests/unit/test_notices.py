"""The rules of telling others: which alarm a status raises, pauses, signatures."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.rules.notices import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MAX_TRIES,
    AlarmEvent,
    pause_after,
    raised,
    receivers,
    sentence,
    signatures,
)
from tasks_app.rules.states import TaskStatus


@given(st.integers(1, 10**9))
def test_pauses_grow_are_bounded_and_end(tries: int) -> None:
    pause, next_pause = pause_after(tries), pause_after(tries + 1)

    assert (pause is None) == (tries >= MAX_TRIES)
    if pause is not None:
        assert FIRST_PAUSE <= pause <= LONGEST_PAUSE
        assert next_pause is None or next_pause >= pause


def test_a_receiver_is_given_most_of_a_working_day() -> None:
    pauses = [pause_after(tries) for tries in range(1, MAX_TRIES)]

    whole = sum((pause for pause in pauses if pause), timedelta(0))
    assert timedelta(hours=6) < whole < timedelta(hours=8)


@pytest.mark.parametrize(
    ("status", "reason", "event"),
    [
        (TaskStatus.FAILED, "", AlarmEvent.FAILED),
        (TaskStatus.FAILED, "TIMEOUT", AlarmEvent.FAILED),
        (TaskStatus.FAILED, "EXPIRED", AlarmEvent.EXPIRED),
        (TaskStatus.KILLED, "KILLED_BY_USER", AlarmEvent.KILLED),
        *((status, "", None) for status in TaskStatus if status not in (5, 6)),
    ],
)
def test_what_a_status_raises(status: TaskStatus, reason: str, event: AlarmEvent | None) -> None:
    assert raised(status, reason) is event


def test_a_post_is_signed_with_every_live_key() -> None:
    signed = signatures(["new", "old"], 1772600000, b'{"a":1}')

    assert signed.split(", ") == [
        "v1=" + hmac.new(key, b'1772600000.{"a":1}', hashlib.sha256).hexdigest()
        for key in (b"new", b"old")
    ]


@given(st.text(), st.text())
def test_a_sentence_is_one_short_line(job: str, text: str) -> None:
    line = sentence(AlarmEvent.KILLED, job, "2026-03-02", text)

    assert len(line) <= 300
    assert line.splitlines() == [line]


def test_a_receiver_is_told_once() -> None:
    assert len(receivers(["https://a", "https://a"], ["a@b.c", "a@b.c"])) == 2
