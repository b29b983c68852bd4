"""How a schedule text is refused: what is wrong, where, and an example that is right (D-71)."""

from __future__ import annotations

from sentinel_project.errors import InvalidParameters

MAX_LENGTH = 1024  # every value of every cron field spelled out fits


def refusal(problem: str, *, example: str) -> InvalidParameters:
    """Return the error to raise."""
    return InvalidParameters(f"{problem}; a correct example: {example}")


def check_length(text: str, *, what: str, example: str) -> None:
    """Refuse what no grammar of ours can be, before anything reads it."""
    if len(text) > MAX_LENGTH:
        problem = f"{what} has {len(text)} characters, more than {MAX_LENGTH}"
        raise refusal(problem, example=example)


def excerpt(text: str) -> str:
    """Return ``text`` quoted, and short enough for a message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
