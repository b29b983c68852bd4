"""Reading characters at byte offsets: what W-20 promises, for any bytes cut up in any way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs_app.text import Piece, cut, span

EMOJI = "😀".encode()

# Bytes that are nearly UTF-8: whole characters, their parts, and what never is one.
_PARTS = st.one_of(
    st.text(max_size=4).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([EMOJI, EMOJI[:3], EMOJI[1:], "中".encode()[:2], b"\xed\xa0", b"\xf0\x80"]),
    st.sampled_from([b"\x00", b"\xc0\xaf", b"\xff", b"\xf4\x90", b"\x80", b"\r\n", b"\x1b[31m"]),
    st.binary(max_size=4),
)
STREAMS = st.lists(_PARTS, max_size=30).map(b"".join)
SIZES = st.integers(1, 12)


def read(stream: bytes, offset: int, size: int, *, is_closed: bool = True) -> Piece:
    """Read as the store does: fetch the span, then cut."""
    begin, end = span(offset, size=size, end=len(stream))
    return cut(stream[begin:end], begin=begin, offset=offset, size=size, is_closed=is_closed)


def character_starts(stream: bytes) -> list[int]:
    """Return every offset at which a character starts, and the end, by decoding from the front.

    What ends at an offset is whole if the text before it and the text after it make the text.
    """
    whole = stream.decode("utf-8", "replace")
    return [
        at
        for at in range(len(stream) + 1)
        if stream[:at].decode("utf-8", "replace") + stream[at:].decode("utf-8", "replace") == whole
    ]


@given(stream=STREAMS, sizes=st.lists(SIZES, min_size=1))
def test_reads_of_any_sizes_add_up_to_the_decoded_stream(stream: bytes, sizes: list[int]) -> None:
    texts: list[str] = []
    offset = 0

    while offset < len(stream):
        size = sizes[len(texts) % len(sizes)]
        piece = read(stream, offset, size)
        assert offset < piece.offset <= len(stream)
        assert len(piece.text) == size or piece.offset == len(stream)
        texts.append(piece.text)
        offset = piece.offset

    assert "".join(texts) == stream.decode("utf-8", "replace")


@given(chunks=st.lists(_PARTS, max_size=20), size=SIZES)
def test_a_reader_who_follows_a_growing_stream_sees_what_one_who_came_late_sees(
    chunks: list[bytes], size: int
) -> None:
    stream, text, offset = b"", "", 0

    for chunk in [*chunks, None]:
        stream += chunk or b""
        while (piece := read(stream, offset, size, is_closed=chunk is None)).text:
            text, offset = text + piece.text, piece.offset
        assert piece.offset == offset

    assert offset == len(stream)
    assert text == stream.decode("utf-8", "replace")


@given(data=st.data(), stream=STREAMS)
def test_an_offset_inside_a_character_moves_to_the_next_one(
    data: st.DataObject, stream: bytes
) -> None:
    offset = data.draw(st.integers(0, len(stream)))
    start = min(at for at in character_starts(stream) if at >= offset)

    piece = read(stream, offset, len(stream) + 1)

    assert piece == Piece(stream[start:].decode("utf-8", "replace"), len(stream))


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        pytest.param(0, Piece("a", 1), id="before it"),
        pytest.param(1, Piece("😀", 5), id="at its start"),
        pytest.param(2, Piece("b", 6), id="at its second byte"),
        pytest.param(4, Piece("b", 6), id="at its last byte"),
        pytest.param(5, Piece("b", 6), id="after it"),
        pytest.param(6, Piece("", 6), id="at the end"),
    ],
)
def test_one_character_is_read_around_an_emoji(offset: int, expected: Piece) -> None:
    assert read(b"a" + EMOJI + b"b", offset, 1) == expected


@given(count=st.integers(1, 40), size=st.integers(1, 40), inside=st.integers(0, 3))
def test_of_the_longest_characters_as_many_are_read_as_were_asked_for(
    count: int, size: int, inside: int
) -> None:
    skipped = 1 if inside else 0
    expected = min(size, count - skipped)

    piece = read(EMOJI * count, inside, size)

    assert piece == Piece("😀" * expected, 4 * (skipped + expected))


def test_an_unfinished_character_waits_while_the_stream_is_open() -> None:
    assert read(b"a" + EMOJI[:3], 0, 10, is_closed=False) == Piece("a", 1)
    assert read(b"a" + EMOJI[:3], 1, 10, is_closed=False) == Piece("", 1)


def test_an_unfinished_character_is_replaced_once_the_stream_is_closed() -> None:
    assert read(b"a" + EMOJI[:3], 0, 10) == Piece("a\N{REPLACEMENT CHARACTER}", 4)


@pytest.mark.parametrize(
    ("invalid", "count"),
    [
        pytest.param(b"\xff", 1, id="a byte that is in no character"),
        pytest.param(b"\xe4\xb8", 1, id="a beginning without its end"),
        pytest.param(b"\xed\xa0\x80", 3, id="a surrogate"),
        pytest.param(b"\xc0\xaf", 2, id="an overlong slash"),
        pytest.param(b"\xf4\x90\x80\x80", 4, id="beyond the last code point"),
    ],
)
def test_replaced_bytes_do_not_shift_the_offset(invalid: bytes, count: int) -> None:
    replaced = "\N{REPLACEMENT CHARACTER}" * count

    piece = read(invalid + b"ab", 0, count + 1)

    assert piece == Piece(replaced + "a", len(invalid) + 1)


@given(offset=st.integers(0, 10**12), size=SIZES)
def test_how_many_bytes_a_read_needs_depends_on_its_size_alone(offset: int, size: int) -> None:
    begin, end = span(offset, size=size, end=10**13)

    assert end - begin <= 4 * size + 6
