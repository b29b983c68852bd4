"""What a run may use of its machine, by job type and worker group (X-20)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None: no limit of ours. ``memory`` and ``processes`` count the whole tree of a run.

    ``cpu`` is in seconds and, like ``openFiles`` and ``fileSize`` (bytes), of each single process;
    ``memory`` is in bytes and also keeps any one process from asking for more.
    """

    cpu: int | None = None
    memory: int | None = None
    openFiles: int | None = None  # noqa: N815 (spelled as in the setting)
    fileSize: int | None = None  # noqa: N815
    processes: int | None = None
    nice: int | None = None

    def words(self) -> dict[str, int]:
        """Return what is limited, and to how much."""
        return {name: value for name in _NAMES if (value := getattr(self, name)) is not None}


NO_LIMITS = Limits()
_NAMES = tuple(field.name for field in fields(Limits))
_ANY = "*"
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_MOST = 2**62


@cache
def parse(text: str) -> dict[str, dict[str, int]]:
    """Read SENTINEL_LIMITS: ``{"shell": {"memory": "2G"}, "*@3": {"nice": 10}}``.

    A key is a job type or ``*``, with ``@`` and the id of a worker group where it is meant for one
    group only. Raise ValueError that says what is wrong where, and what would be right.
    """
    try:
        document = json.loads(text or "{}")
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(_SHAPE)  # noqa: TRY004 (whoever wrote the setting is told, not us)
    return {key: _entry(key, entry) for key, entry in document.items()}


_SHAPE = 'must be an object such as {"shell": {"memory": "2G"}, "*@3": {"nice": 10}}'


def _entry(key: str, entry: object) -> dict[str, int]:
    job_type, at, group = key.partition("@")
    if not job_type or (at and not group.isdecimal()):
        raise ValueError(f"{key!r}: must be a job type or *, then perhaps @ and a group's id")
    if not isinstance(entry, dict):
        raise ValueError(_SHAPE)  # noqa: TRY004 (whoever wrote the setting is told, not us)
    return {name: _value(key, name, value) for name, value in entry.items()}


def _value(key: str, name: str, value: object) -> int:
    if name not in _NAMES:
        raise ValueError(f"{key!r}: unknown limit {name!r}; known: {', '.join(_NAMES)}")
    number = _number(value)
    low, high = (0, 19) if name == "nice" else (1, _MOST)
    if number is None or not low <= number <= high:
        raise ValueError(f"{key!r}: {name} must be an integer from {low} to {high}, or as in 512M")
    return number


def _number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value[:-1].isdecimal() and value[-1] in _UNITS:
        return int(value[:-1]) * _UNITS[value[-1]]
    return None


def limits_of(table: Mapping[str, Mapping[str, int]], job_type: str, group_id: int) -> Limits:
    """Return the limits of a run; the more specific key wins, name by name."""
    found: dict[str, Any] = {}
    for key in (_ANY, f"{_ANY}@{group_id}", job_type, f"{job_type}@{group_id}"):
        found |= table.get(key, {})
    return Limits(**found)
