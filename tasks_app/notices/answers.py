"""What a receiver said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """``is_final``: trying again cannot help."""

    is_good: bool
    text: str
    is_final: bool = False
