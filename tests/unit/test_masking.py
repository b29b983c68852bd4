"""A secret is not to be seen, however the stream is cut; everything else is, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.executors.masking import MaskedOutput
from tasks_app.rules.masking import MASK, Masker
from tests.flow.executions import Kept


def masked(secrets: list[bytes], pieces: list[bytes]) -> bytes:
    masker = Masker(secrets)
    return b"".join([*map(masker.feed, pieces), masker.finish()])


@pytest.mark.parametrize(
    ("secrets", "text", "expected"),
    [
        ([b"hunter2"], b"pw=hunter2;", b"pw=***;"),
        ([b"hunter2"], b"hunter2hunter2", b"******"),
        ([b"hunter2"], b"hunter", b"hunter"),
        ([b"abcd", b"cdef"], b"-abcdef-", b"-***-"),
        ([b"abcd", b"abcdef"], b"-abcdef-", b"-***-"),
        ([b"aaaa"], b"aaaaaaa.", b"***."),
        ([b"abc"], b"abc", b"abc"),
        ([], b"\x00\xff", b"\x00\xff"),
    ],
    ids=repr,
)
def test_a_secret_becomes_stars(secrets: list[bytes], text: bytes, expected: bytes) -> None:
    assert masked(secrets, [text]) == expected


ALPHABET = st.sampled_from([b"a", b"b", b"c"])
SECRETS = st.lists(st.lists(ALPHABET, min_size=4, max_size=6).map(b"".join), max_size=3)
PIECES = st.lists(st.lists(ALPHABET, max_size=7).map(b"".join), max_size=8)


@given(SECRETS, PIECES)
def test_however_it_is_cut_the_same_is_shown(secrets: list[bytes], pieces: list[bytes]) -> None:
    whole = b"".join(pieces)

    assert masked(secrets, pieces) == masked(secrets, [whole])
    assert masked(secrets, [bytes([byte]) for byte in whole]) == masked(secrets, [whole])


@given(SECRETS, PIECES)
def test_what_is_shown_is_the_text_without_the_bytes_of_secrets(
    secrets: list[bytes], pieces: list[bytes]
) -> None:
    whole = b"".join(pieces)
    hidden = set()
    for secret in secrets:
        for start in range(len(whole)):
            if whole.startswith(secret, start):
                hidden |= set(range(start, start + len(secret)))

    shown = bytes(byte for at, byte in enumerate(whole) if at not in hidden)

    assert masked(secrets, pieces).replace(MASK, b"") == shown


def test_a_line_that_begins_no_secret_is_shown_at_once() -> None:
    masker = Masker([b"hunter2"])

    assert [masker.feed(b"rows: 3\n"), masker.feed(b"hunt"), masker.feed(b"ing\n")] == [
        b"rows: 3\n",
        b"",
        b"hunting\n",
    ]


def test_an_output_hides_an_address_its_password_and_every_line_of_a_key() -> None:
    kept = Kept()
    key = "-----BEGIN-----\nMIIEvQIBADANBg\n{\n"
    output = MaskedOutput(kept, ["postgres://ann:p%40ssword@db/x", key])

    output.log(b"connecting to postgres://ann:p%40ss")
    output.log(b"word@db/x with p@ssword\nMIIEvQIBADANBg\n{\n")
    output.result(b"p@ssw")
    output.finish()

    assert kept.log_bytes == b"connecting to *** with ***\n***\n{\n"
    assert kept.result_bytes == b"p@ssw"


def test_a_long_secret_costs_no_more_than_a_look_at_the_text() -> None:
    secret = b"k" * 8 + bytes(range(256)) * 63
    text = (b"a line of the log without it\n" * 3000) + secret[:9000]

    assert masked([secret], [text, secret[9000:], b"."]) == text[:-9000] + MASK + b"."
