"""Catch-up: which of the slots that have come are opened, and why the others are not (D-23)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.rules.enums import GapReason, MisfirePolicy

#: How many missed slots the policy ``all`` opens: the newest.
MAX_CAUGHT_UP = 100


@dataclass(frozen=True, slots=True)
class Slot:
    """A due time and the expression that yields it."""

    due_at: datetime
    expression_id: int


@dataclass(frozen=True, slots=True)
class Missed:
    """Slots of one expression that are not opened, for one reason."""

    expression_id: int
    reason: GapReason
    due_at: tuple[datetime, ...]


@dataclass(slots=True)
class Decision:
    """``open``: due time to the expressions that name it, ascending. ``missed``: the gaps."""

    open: dict[datetime, list[int]] = field(default_factory=dict)
    missed: list[Missed] = field(default_factory=list)


def decide(
    slots: Iterable[Slot],
    *,
    now: datetime,
    grace: timedelta,
    policy: MisfirePolicy,
    expire_after: timedelta,
) -> Decision:
    """Sort the slots up to ``now`` of all expressions of one job into opened ones and gaps.

    Only slots older than ``grace`` are missed, and only those meet the policy; ``skip`` and
    ``last`` decide before expiry does.
    """
    by_due: dict[datetime, list[int]] = {}
    for slot in sorted(slots, key=lambda slot: (slot.due_at, slot.expression_id)):
        by_due.setdefault(slot.due_at, []).append(slot.expression_id)
    missed = [due for due in by_due if due < now - grace]
    reasons = _reasons(missed, now=now, policy=policy, expire_after=expire_after)
    opened = {due: names for due, names in by_due.items() if due not in reasons}
    return Decision(opened, _gaps(reasons, by_due))


def _reasons(
    missed: Sequence[datetime], *, now: datetime, policy: MisfirePolicy, expire_after: timedelta
) -> dict[datetime, GapReason]:
    match policy:
        case MisfirePolicy.SKIP:
            return dict.fromkeys(missed, GapReason.SKIPPED)
        case MisfirePolicy.LAST:
            skipped = dict.fromkeys(missed[:-1], GapReason.SKIPPED)
            return skipped | _expired(missed[-1:], now, expire_after)
        case MisfirePolicy.ALL:
            expired = _expired(missed, now, expire_after)
            fresh = [due for due in missed if due not in expired]
            return expired | dict.fromkeys(fresh[:-MAX_CAUGHT_UP], GapReason.CAPPED)


def old_reasons(
    slots: Sequence[datetime], *, now: datetime, policy: MisfirePolicy, expire_after: timedelta
) -> dict[datetime, GapReason]:
    """Return why none of ``slots`` is opened, which are all older than the newest that may be."""
    if policy is not MisfirePolicy.ALL:
        return dict.fromkeys(slots, GapReason.SKIPPED)
    return dict.fromkeys(slots, GapReason.CAPPED) | _expired(slots, now, expire_after)


def gaps_of(expression_id: int, reasons: dict[datetime, GapReason]) -> list[Missed]:
    return _gaps(reasons, {due: [expression_id] for due in reasons})


def _expired(
    missed: Sequence[datetime], now: datetime, expire_after: timedelta
) -> dict[datetime, GapReason]:
    if not expire_after:
        return {}
    return {due: GapReason.EXPIRED for due in missed if now - due >= expire_after}


def _gaps(reasons: dict[datetime, GapReason], by_due: dict[datetime, list[int]]) -> list[Missed]:
    """Gather one gap per expression and reason."""
    gathered: dict[tuple[int, GapReason], list[datetime]] = {}
    for due in sorted(reasons):
        for expression_id in by_due[due]:
            gathered.setdefault((expression_id, reasons[due]), []).append(due)
    return [Missed(expr, reason, tuple(dues)) for (expr, reason), dues in gathered.items()]
