"""Typed reading of a rehearsal document's fields; every refusal names the place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar, overload
from zoneinfo import ZoneInfo

from sentinel_project.errors import SentinelError

E = TypeVar("E", bound=Enum)
_MAX = 10**12


class BadDocument(SentinelError):
    """The document is not as 5-simulation.md says."""


class Fields:
    """The fields of one object of the document; unknown names are refused."""

    def __init__(self, raw: Mapping[str, Any], place: str, names: set[str]) -> None:
        self.raw = raw
        self._prefix = f"{place}." if place else ""
        for name in raw:
            if name not in names:
                raise BadDocument(f"{self._prefix}{name}: no such field")

    def text(self, name: str, default: str | None = None) -> str:
        value = self.raw.get(name, default)
        if not isinstance(value, str):
            raise BadDocument(f"{self._prefix}{name}: a text, not {value!r}")
        return value

    def flag(self, name: str) -> bool:
        value = self.raw.get(name, False)
        if not isinstance(value, bool):
            raise BadDocument(f"{self._prefix}{name}: true or false, not {value!r}")
        return value

    @overload
    def whole(self, name: str, default: int, *, least: int) -> int: ...
    @overload
    def whole(self, name: str, default: None, *, least: int) -> int | None: ...
    def whole(self, name: str, default: int | None, *, least: int) -> int | None:
        value = self.raw.get(name, default)
        if value is None and default is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MAX:
            raise BadDocument(f"{self._prefix}{name}: a whole number from {least}, not {value!r}")
        return value

    def word(self, name: str, words: type[E], default: E) -> E:
        value = self.raw.get(name, default)
        try:
            return words(value)
        except ValueError as error:
            known = ", ".join(str(word.value) for word in words)
            raise BadDocument(f"{self._prefix}{name}: one of {known}, not {value!r}") from error

    def zone(self, name: str, default: ZoneInfo) -> ZoneInfo:
        value = self.raw.get(name)
        if value is None:
            return default
        try:
            return ZoneInfo(value)
        except (KeyError, ValueError, TypeError, OSError) as error:
            raise BadDocument(f"{self._prefix}{name}: {value!r} is no time zone") from error

    def instant(self, name: str, zone: ZoneInfo) -> datetime | None:
        value = self.raw.get(name)
        return None if value is None else instant(value, f"{self._prefix}{name}", zone)

    def required_instant(self, name: str, zone: ZoneInfo) -> datetime:
        return instant(self.raw.get(name), f"{self._prefix}{name}", zone)


def instant(value: object, place: str, zone: ZoneInfo) -> datetime:
    """Read an ISO 8601 instant; a naive one is in ``zone``."""
    if isinstance(value, datetime):  # YAML reads an unquoted instant itself
        value = value.isoformat()
    try:
        at = datetime.fromisoformat(value if isinstance(value, str) else "")
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadDocument(f"{place}: an instant like 2026-03-02T00:00:00, not {value!r}") from error


def duration(seconds: int) -> timedelta:
    return timedelta(seconds=min(seconds, 10**9 * 86))


def mapping(raw: object, place: str) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise BadDocument(f"{place}: an object, not {raw!r}"[:200])
    return raw


def listed(raw: object, place: str) -> list[Any]:
    if not isinstance(raw, list):
        raise BadDocument(f"{place}: a list, not {raw!r}"[:200])
    return raw
