"""Where a request ends in the bytes that have come so far.

No socket, no clock, and no judgement: whatever cannot be a request counts as whole, so that
gunicorn's own parser refuses it at once instead of waiting for more of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus

MAX_HEAD = 64 * 1024
#: Twice what the wire accepts (W-5), so that up to here the wire says what is too large.
MAX_REQUEST = 4 * 1024 * 1024

_END = b"\r\n\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*([^\r]*)", re.IGNORECASE)
_IN_CHUNKS = re.compile(rb"\r\ntransfer-encoding[ \t]*:", re.IGNORECASE)
_EXPECTS = re.compile(rb" HTTP/1\.1\r\n(?:.*\r\n)?expect[ \t]*:[ \t]*100-continue", re.I | re.S)
_CHUNK_SIZE = re.compile(rb"[0-9a-f]{1,16}[ \t]*(?:;.*)?", re.IGNORECASE | re.DOTALL)
#: Longer than any size line that the parser takes.
_MAX_SIZE_LINE = 16 * 1024


@dataclass(slots=True)
class Incoming:
    """The bytes of one request. Bytes of the next one may follow; the parser leaves those."""

    data: bytearray = field(default_factory=bytearray)
    is_whole: bool = False
    #: What it is refused with, unread.
    fault: HTTPStatus | None = None
    #: The client sends its body only when it is told to go on.
    waits_for_continue: bool = False
    _at: int = 0
    _ends_at: int | None = None
    _is_in_chunks: bool = False

    def take(self, piece: bytes) -> None:
        """Add ``piece`` and look again, from where the last look ended."""
        self.data += piece
        if not self._is_in_chunks and self._ends_at is None:
            self._look_for_head()
        if self._is_in_chunks and not self.fault:
            self._walk_chunks()
        if self._ends_at is not None:
            self.is_whole = len(self.data) >= self._ends_at
        if not self.is_whole and len(self.data) > MAX_REQUEST:
            self.fault = HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def _look_for_head(self) -> None:
        end = self.data.find(_END, self._at)
        stop = end if end >= 0 else len(self.data)
        if _BARE_LF.search(self.data, self._at, stop):
            self._ends_at = 0
        elif stop > MAX_HEAD:
            self.fault = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        elif end >= 0:
            self._read_head(bytes(self.data[: end + 2]), end + len(_END))
        else:
            self._at = max(0, stop - len(_END) + 1)

    def _read_head(self, head: bytes, body_at: int) -> None:
        length = _LENGTH.search(head)
        if _IN_CHUNKS.search(head):
            self._is_in_chunks, self._at = True, body_at
        elif length:
            self._expect_body(length.group(1).strip(), body_at)
        else:
            self._ends_at = body_at
        self.waits_for_continue = bool(_EXPECTS.search(head))

    def _expect_body(self, length: bytes, body_at: int) -> None:
        """A length that is no number is the parser's to refuse; it reads no body then."""
        self._ends_at = body_at
        if length.isdigit():
            # Ten digits say enough: a text of thousands takes long to convert.
            self._ends_at += int(length.lstrip(b"0")[:10] or b"0")
        if self._ends_at > MAX_REQUEST:
            self.fault = HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def _walk_chunks(self) -> None:
        while self._ends_at is None and not self.fault:
            line_end = self.data.find(b"\r\n", self._at)
            line = self.data[self._at : line_end if line_end >= 0 else len(self.data)]
            if line_end < 0 and len(line) <= _MAX_SIZE_LINE:
                return
            if line_end < 0 or not _CHUNK_SIZE.fullmatch(line):
                self._ends_at = 0
            elif size := int(line.split(b";")[0], 16):
                # May lie ahead of what has come; then nothing is found there for now.
                self._at = line_end + 2 + size + 2
                if self._at > MAX_REQUEST:
                    self.fault = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            else:
                self._end_trailers(line_end)
                return

    def _end_trailers(self, line_end: int) -> None:
        """Behind the last chunk comes an empty line, or trailers and an empty line."""
        end = self.data.find(_END, line_end)
        if end >= 0:
            self._ends_at = end + len(_END)
        elif len(self.data) - line_end > MAX_HEAD:
            self.fault = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
