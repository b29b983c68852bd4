"""Cron in English, said from the values an expression has and not from how it is spelled (D-71)."""

from __future__ import annotations

from .cron_calendar import WallTimes


def describe_cron(times: WallTimes) -> str:
    return "cron"
