"""What people write and read in place of the wire's numbers: instants, statuses, pairs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, TypeVar

import typer

from sentinel_project import clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RELATIVE = re.compile(r"([+-])(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MILLIS = re.compile(r"\d{12,15}")

C = TypeVar("C", bound=IntEnum)


def millis(text: str) -> int:
    """Return the instant that ``text`` means, in epoch milliseconds.

    ISO 8601 (without an offset: in this machine's zone), ``now``, ``-2h`` or ``+7d`` from now
    (s, m, h, d, w), or epoch milliseconds.
    """
    if _MILLIS.fullmatch(text):
        return int(text)
    if text == "now":
        return _since_epoch(clock.now())
    try:
        if found := _RELATIVE.fullmatch(text):
            sign, number, unit = found.groups()
            return _since_epoch(clock.now() + timedelta(**{_UNITS[unit]: int(sign + number)}))
        return _since_epoch(datetime.fromisoformat(text).astimezone(UTC))
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no instant: write 2026-03-02T03:00, now, -2h, +7d or epoch milliseconds"
        ) from None


def _since_epoch(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def local(instant: int | None) -> str:
    """Return epoch milliseconds as people here read them; empty for none."""
    if instant is None:
        return ""
    return (_EPOCH + timedelta(milliseconds=instant)).astimezone().isoformat(" ", "seconds")


def word(codes: type[IntEnum], number: int | None) -> str:
    """Return the name of a code; the number itself if a newer server has more of them."""
    if number is None:
        return ""
    return codes(number).name if number in set(codes) else str(number)


def code(codes: type[C], text: str) -> C:
    """Return the code that ``text`` names, in any case."""
    try:
        return codes[text.upper()]
    except KeyError:
        listed = ", ".join(each.name for each in codes)
        raise typer.BadParameter(f"{text!r} is none of {listed}") from None


def pairs(texts: Iterable[str], *, as_json: bool = False) -> dict[str, Any]:
    """Return ``NAME=VALUE`` texts as an object; ``as_json``: each value is JSON, or else text."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE")
        found[name] = _json_or_text(value) if as_json else value
    return found


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
