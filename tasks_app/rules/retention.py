"""For how many days runs, and what they printed, are kept, by app and job (X-33)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache

ANY = "*"
_SHAPE = 'must be an object such as {"*": 90, "billing": 30, "billing/nightly report": 365}'
_LONGEST = 36_500


@cache
def parse(text: str) -> Mapping[str, int]:
    """Read SENTINEL_KEEP_OUTPUT or SENTINEL_KEEP_TASKS; nothing: for ever.

    They are days by ``*``, by app, or by ``app/job``.
    Raise ValueError that says what is wrong where, and what would be right.
    """
    try:
        document = json.loads(text or "{}")
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(_SHAPE)  # noqa: TRY004 (whoever wrote the setting is told, not us)
    for problem in _problems(document):
        raise ValueError(problem)
    return document


def _problems(document: Mapping[str, object]) -> Iterator[str]:
    for key, days in document.items():
        app, slash, job = key.partition("/")
        if not app or (slash and not job):
            yield f"{key!r}: must be *, an app's name, or an app's and a job's with / between them"
        if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= _LONGEST:
            yield f"{key!r}: must be an integer from 1 to {_LONGEST} (days)"


def days_of(table: Mapping[str, int], app: str, job: str) -> int | None:
    """Return the days of the narrowest key that a job falls under; None: for ever."""
    keys = (f"{app}/{job}", app, ANY)
    return next((table[key] for key in keys if key in table), None)


def narrower(key: str, table: Mapping[str, int]) -> list[str]:
    """Return the keys of ``table`` that take runs out of ``key``'s."""
    if key == ANY:
        return [other for other in table if other != ANY]
    return [other for other in table if other.startswith(f"{key}/")]
