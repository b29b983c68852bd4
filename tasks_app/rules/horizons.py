"""How far back the history of jobs must go, for themselves and whoever looks at their runs (X-33).

A job's *horizon* is the due time from which its history is kept. It only moves forward, and never
past a due time that is unfinished or may yet come, nor past what the history of a dependent looks
at. So whatever opens, waits or is filled behind a horizon finds its windows whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from graphlib import TopologicalSorter
from zoneinfo import ZoneInfo

from jobs.rules.offsets import Offset, window

#: A horizon that lets nothing leave is moved no more often than by so much.
_STEP = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Link:
    """``job_id`` looks at the runs of ``upstream_id``, by its own ``zone``."""

    job_id: int
    upstream_id: int
    offset: Offset
    zone: ZoneInfo

    def looks_from(self, due_at: datetime) -> datetime:
        """Return where the window of the earliest kept due time begins."""
        return window(self.offset, due_at, self.zone).start


@dataclass(frozen=True, slots=True)
class Stand:
    """What is known of one job.

    ``begins_at``: its horizon now. ``cutoff``: what ended before it may leave; None: nothing may.
    ``needed_from``: the first due time that may yet run, or be looked at by the job itself.
    ``unsettled_from``: the first whose end may yet name runs of dependents; None: there is none.
    """

    begins_at: datetime
    cutoff: datetime | None
    needed_from: datetime
    unsettled_from: datetime | None = None


def upstreams_first(job_ids: Iterable[int], links: Iterable[Link]) -> list[int]:
    """Return the jobs in an order in which each comes behind all that it looks at."""
    order: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(job_ids, ()))
    for link in links:
        order.add(link.job_id, link.upstream_id)
    return list(order.static_order())


def with_upstreams(
    stands: Mapping[int, Stand], links: Mapping[int, Sequence[Link]], order: Iterable[int]
) -> dict[int, Stand]:
    """Have each job keep its history as long as all that it waits for do.

    An upstream's run that is repaired may name one of the dependent's. ``links``: by dependent,
    ``order``: upstreams first.
    """
    found: dict[int, Stand] = {}
    for job_id in order:
        stand = stands[job_id]
        for link in links.get(job_id, ()):
            stand = _not_beyond(stand, found[link.upstream_id])
        found[job_id] = stand
    return found


def _not_beyond(stand: Stand, upstream: Stand) -> Stand:
    cutoffs = (stand.cutoff, upstream.cutoff)
    unsettled = [at for at in (stand.unsettled_from, upstream.unsettled_from) if at is not None]
    return replace(
        stand,
        cutoff=None if None in cutoffs else min(at for at in cutoffs if at is not None),
        needed_from=min([stand.needed_from, *unsettled]),
        unsettled_from=min(unsettled, default=None),
    )


def horizon(stand: Stand, looked_at_from: Iterable[datetime], oldest: datetime | None) -> datetime:
    """Return up to where the history of a job may leave: never less than what has left.

    ``looked_at_from``: where the windows of its dependents begin; ``oldest``: the due time of the
    first run that is old enough to leave.
    """
    if stand.cutoff is None:
        return stand.begins_at
    found = min([stand.cutoff, stand.needed_from, *looked_at_from])
    is_worth_it = found - stand.begins_at >= _STEP or (oldest is not None and oldest < found)
    return max(found, stand.begins_at) if is_worth_it else stand.begins_at
