"""Reading characters out of bytes at byte offsets (W-20).

A *character* is one well-formed UTF-8 sequence, or one ill-formed piece that shows as U+FFFD: the
longest run of bytes that could still have become a character, as ``bytes.decode`` with
``replace`` and the Unicode standard cut it. A piece never depends on more than the three bytes
around it, so a reader may start at any offset and still see the very cuts of the whole stream.
"""

from __future__ import annotations

from codecs import utf_8_decode
from dataclasses import dataclass

_LONGEST = 4
_REACH = _LONGEST - 1


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters, and the byte offset at which the next read starts."""

    text: str
    offset: int


def span(offset: int, *, size: int, end: int) -> tuple[int, int]:
    """Return the bytes, from and up to, that ``size`` characters at ``offset`` may need.

    A little before, to see whether the offset is inside a character; ``end`` is the stream's.
    """
    return max(0, offset - _REACH), min(end, offset + _REACH + _LONGEST * size)


def cut(data: bytes, *, begin: int, offset: int, size: int, is_closed: bool) -> Piece:
    """Return up to ``size`` characters from ``offset`` of the stream, whose ``span`` is ``data``.

    ``data`` begins at offset ``begin``. Until the stream is closed, an unfinished character at its
    end waits for its other bytes.
    """
    first = _boundary(data, offset - begin)
    text, end = _take(data, first, size=size, is_closed=is_closed)
    return Piece(text, begin + end)


def _boundary(data: bytes, position: int) -> int:
    """Return where a character starts at or, if ``position`` is inside one, after it."""
    for start in range(max(0, position - _REACH), position):
        # Whatever is no continuation byte starts a character, so no earlier guess can mislead.
        if not _is_continuation(data[start]) and (end := _character_end(data, start)) > position:
            return end
    return position


def _is_continuation(byte: int) -> bool:
    return byte & 0xC0 == 0x80


def _take(data: bytes, start: int, *, size: int, is_closed: bool) -> tuple[str, int]:
    """Return up to ``size`` characters from ``start``, and the position after them.

    The bytes are counted as they are decoded: encoding the text again would count every U+FFFD as
    three.
    """
    texts: list[str] = []
    position, wanted = start, size
    # So many bytes hold at most so many characters, and about a quarter of them at least.
    while wanted:
        text, used = utf_8_decode(data[position : position + wanted], "replace", False)
        if not used:
            break
        texts.append(text)
        position, wanted = position + used, wanted - len(text)
    while wanted and position < len(data) and (is_closed or not _is_unfinished(data, position)):
        end = _character_end(data, position)
        texts.append(data[position:end].decode("utf-8", "replace"))
        position, wanted = end, wanted - 1
    return "".join(texts), position


def _is_unfinished(data: bytes, start: int) -> bool:
    """Tell whether the data ends inside the character that starts at ``start``."""
    return not utf_8_decode(data[start : start + _LONGEST], "replace", False)[1]


def _character_end(data: bytes, start: int) -> int:
    """Return the position after the character, well-formed or not, that starts at ``start``."""
    window = data[start : start + _LONGEST]
    try:
        text = window.decode()
    except UnicodeDecodeError as error:
        if error.start == 0:
            return start + error.end
        text = window[: error.start].decode()
    return start + len(text[0].encode())
