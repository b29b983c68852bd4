"""Reading expressions: what a plain one costs, what the longest one costs, what an absurd one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import stack

from jobs.rules.enums import ExpressionKind
from jobs.rules.schedule import parse_live
from sentinel_project import clock
from sentinel_project.errors import InvalidParameters

CRON, RATE, DELAY, ISO = ExpressionKind
NOW = datetime(2026, 3, 2, tzinfo=UTC)
ZONES = [ZoneInfo(name) for name in ("Asia/Shanghai", "Europe/Berlin", "America/New_York")]

PLAIN = [
    (CRON, "0 {n} 12 * * ?"),
    (CRON, "{n} 12 * * 1-5"),
    (CRON, "0 {n} 12 LW * ?"),
    (RATE, "m({n})"),
    (DELAY, "m({n})"),
    (ISO, "R{n}//PT30M"),
]
ABSURD = [
    ("commas", CRON, "," * 100_000),
    ("blanks", CRON, " " * 100_000),
    ("february", CRON, "0 {n} 12 30 2 ?"),
    ("year", CRON, "0 {n} 12 1 1 ? 9999"),
    ("digits", RATE, "s(" + "9" * 100_000 + ")"),
    ("count", ISO, "R999999999/…"),
]


def milliseconds(kind: ExpressionKind, texts: Iterable[str]) -> list[float]:
    """Return what each text takes to be read or refused; what was read once is remembered."""
    taken: list[float] = []
    for text in texts:
        zone = ZONES[len(taken) % len(ZONES)]
        began = clock.monotonic()
        with suppress(InvalidParameters):
            parse_live(kind, text, zone=zone, saved_at=NOW, now=NOW)
        taken.append((clock.monotonic() - began) * 1000)
    return taken


def main() -> None:
    for kind, form in PLAIN:
        texts = [form.format(n=n) for n in range(1, 60)]
        stack.figure("parse.plain", milliseconds(kind, texts), "ms", text=form)
    for items in (50, 100, 200, 400):
        texts = [f"{n}," * items + "0 0 12 * * ?" for n in range(1, 10)]
        stack.figure("parse.list", milliseconds(CRON, texts), "ms", items=items)
    for name, kind, form in ABSURD:
        texts = [form.format(n=n) for n in range(10)]
        stack.figure("parse.absurd", milliseconds(kind, texts), "ms", text=name)


if __name__ == "__main__":
    main()
