"""Instants as people type them on a command line."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError

from jobs.rules.schedule.walltime import FIRST, LAST, instant, resolve, wall_micros


def instant_of(text: str, *, name: str, zone: ZoneInfo) -> datetime:
    """Return the ISO 8601 instant ``text``; a naive one is a wall time of ``zone``."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        problem = f"{name} {text[:60]!r} is no time; a correct example: 2026-03-02T12:00:00"
        raise CommandError(problem, returncode=2) from error
    if read.tzinfo is None:
        read = instant(resolve(zone, wall_micros(read)))
    if not FIRST <= read <= LAST:
        raise CommandError(f"{name} lies too near the end of the calendar", returncode=2)
    return read
