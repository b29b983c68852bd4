"""appToken: what a stranger may make of it (W-10, W-11)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sentinel_project.wire import token
from sentinel_project.wire.token import Subject, Verdict
from tests.builders import KEY

STAMP = "1772600000"
AT = datetime.fromtimestamp(1772600000, UTC)
PUBLISHED = "1772600000c932fc5830b82026327c821a39e0b5df"
WINDOW = timedelta(seconds=180)
SUBJECT = Subject("/api/job/submit", "mine", "ann", '{"a":1}')
NONCE = "n0nce-12"


def verdict(
    text: str,
    *,
    now: datetime = AT,
    keys: tuple[str, ...] = (KEY, "f" * 32),
    subject: Subject = SUBJECT,
) -> Verdict:
    return token.verify(token.parse(text), keys=keys, subject=subject, now=now, window=WINDOW)


def strong(**changes: str) -> str:
    words = {"stamp": STAMP, "nonce": NONCE} | changes
    return f"v2:{words['stamp']}:{words['nonce']}:" + token.strong_signature(KEY, SUBJECT, **words)


def test_the_published_example_is_good() -> None:
    assert STAMP + token.signature(KEY, STAMP) == PUBLISHED
    assert verdict(PUBLISHED) is Verdict.GOOD


def test_milliseconds_are_good_too() -> None:
    stamp = STAMP + "999"

    assert verdict(stamp + token.signature(KEY, stamp)) is Verdict.GOOD


def test_either_of_two_live_keys_is_good() -> None:
    assert verdict(PUBLISHED, keys=("e" * 32, KEY)) is Verdict.GOOD
    assert verdict(PUBLISHED, keys=(KEY, "e" * 32)) is Verdict.GOOD


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-181, Verdict.STALE),
        (-180, Verdict.GOOD),
        (180, Verdict.GOOD),
        (181, Verdict.STALE),
    ],
)
def test_the_window_is_closed_at_both_ends(seconds: int, expected: Verdict) -> None:
    assert verdict(PUBLISHED, now=AT + timedelta(seconds=seconds)) is expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(PUBLISHED[:-1], id="cut"),
        pytest.param(PUBLISHED + "0", id="too long"),
        pytest.param(PUBLISHED + "\n", id="newline behind"),
        pytest.param(" " + PUBLISHED, id="blank before"),
        pytest.param(STAMP + PUBLISHED[10:].upper(), id="upper case"),
        pytest.param("+" + STAMP[1:] + token.signature(KEY, "+" + STAMP[1:]), id="sign"),
        pytest.param("1_72600000" + token.signature(KEY, "1_72600000"), id="underscore"),
        pytest.param(
            STAMP[:9] + "\u0660" + token.signature(KEY, STAMP[:9] + "\u0660"), id="arabic digit"
        ),
        pytest.param(STAMP[:9] + token.signature(KEY, STAMP[:9]), id="9 digits"),
        pytest.param(STAMP + "0" + token.signature(KEY, STAMP + "0"), id="11 digits"),
        pytest.param(STAMP + "0" * 32, id="wrong signature"),
        pytest.param("1772600001" + PUBLISHED[10:], id="another stamp"),
        pytest.param("é" * 42, id="not ASCII"),
    ],
)
def test_anything_else_is_bad(text: str) -> None:
    assert verdict(text) is Verdict.BAD


def test_a_wrong_signature_is_bad_however_old_it_is() -> None:
    """Else an outsider could ask for the server's time, or which app exists."""
    assert verdict("0000000001" + "0" * 32) is Verdict.BAD


def test_the_strong_form_is_good_within_the_window() -> None:
    assert verdict(strong()) is Verdict.GOOD
    assert verdict(strong(), now=AT + timedelta(seconds=181)) is Verdict.STALE


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(Subject("/api/task/kill", "mine", "ann", '{"a":1}'), id="path"),
        pytest.param(Subject("/api/job/submit", "other", "ann", '{"a":1}'), id="app"),
        pytest.param(Subject("/api/job/submit", "mine", "bob", '{"a":1}'), id="user"),
        pytest.param(Subject("/api/job/submit", "mine", "ann", '{"a":2}'), id="parameters"),
        pytest.param(Subject("/api/job/submit", "mine", "ann", None), id="parameters as object"),
    ],
)
def test_the_strong_form_is_good_for_nothing_else(subject: Subject) -> None:
    assert verdict(strong(), subject=subject) is Verdict.BAD


def test_the_strong_form_does_not_sign_absent_parameters() -> None:
    subject = Subject("/api/job/submit", "mine", "ann", None)
    signed = token.strong_signature(KEY, subject, stamp=STAMP, nonce=NONCE)

    assert verdict(f"v2:{STAMP}:{NONCE}:{signed}", subject=subject) is Verdict.BAD
