"""Due times to come: a job's own slots, or what its upstreams' runs to come will name (D-36)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from copy import copy
from datetime import datetime, timedelta
from itertools import islice, tee

from jobs.expected import Expectations
from jobs.facts import Facts, naming_of

#: Upstream runs looked at in search of names: a year of hourly runs.
_FURTHEST = 9_000


class Coming:
    """The due times from ``now`` on of any job; a job's are computed once for all who ask."""

    def __init__(self, expectations: Expectations, now: datetime) -> None:
        self._expectations = expectations
        self._now = now
        self._known: dict[int, Iterator[datetime]] = {}

    def first(self, job_id: int, count: int) -> list[datetime]:
        """Return the first ``count`` due times, or as many as there are.

        Jobs behind the job are asked before it, so that no chain is too long to recurse.
        """
        behind = self._expectations.behind(self._expectations.facts(job_id))
        for place in range(count):
            for upstream_id in behind:
                next(islice(self._dues(upstream_id), place, None), None)
        return list(islice(self._dues(job_id), count))

    def _dues(self, job_id: int) -> Iterator[datetime]:
        if job_id not in self._known:
            facts = self._expectations.facts(job_id)
            dues = self._slots(facts) if facts.series else self._names(facts)
            self._known[job_id] = tee(dues, 1)[0]
        return copy(self._known[job_id])

    def _slots(self, facts: Facts) -> Iterator[datetime]:
        job = facts.job
        start = max(self._now, job.active_from) if job.active_from else self._now
        end = job.active_until or datetime.max.replace(tzinfo=start.tzinfo) - timedelta(days=1)
        slots = (series.schedule.between(start, end) for series in facts.series)
        return _ascending(heapq.merge(*slots))

    def _names(self, facts: Facts) -> Iterator[datetime]:
        naming = naming_of(self._expectations.counting(facts))
        series = [self._dues(upstream.job_id) for upstream in naming]
        dues = islice(heapq.merge(*series), _FURTHEST)
        named = (self._expectations.named(facts.job.pk, due) for due in dues)
        return _ascending(name for name in named if name is not None)


def _ascending(dues: Iterator[datetime]) -> Iterator[datetime]:
    """Yield each due time once; none that comes before one that was yielded."""
    last: datetime | None = None
    for due in dues:
        if last is None or due > last:
            yield due
            last = due
