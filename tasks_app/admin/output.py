"""Admin: what an attempt printed, in pieces of some thousand characters (W-20)."""

from __future__ import annotations

from dataclasses import dataclass

from logs_app import store
from logs_app.models import StreamKind
from sentinel_project.errors import SentinelError
from tasks_app.models import Attempt

FIRST = 2_000
PIECE = 20_000


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a stream, up to ``reached``; ``next_offset`` None: there is nothing after it now."""

    name: str
    size: int
    text: str
    next_offset: int | None
    is_end: bool
    reached: int = 0
    problem: str = ""

    @property
    def is_followed(self) -> bool:
        """Tell whether more may be printed behind all that is there."""
        return not (self.is_end or self.problem or self.next_offset)


def piece_of(attempt: Attempt, kind: StreamKind, *, offset: int, size: int) -> Piece:
    """Read on from a byte offset; a refusal is a piece that says so."""
    total = store.sizes([attempt.pk]).get((attempt.pk, kind), 0)
    try:
        found = store.read(attempt.pk, kind, offset=offset, size=size)
    except SentinelError as refusal:
        return Piece(kind.name, total, "", None, False, problem=str(refusal))
    following = found.offset if found.offset < total else None
    return Piece(kind.name, total, found.text, following, found.is_end, found.offset)
