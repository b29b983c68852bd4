"""Cycles among dependencies (D-39)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable


def find_cycle(
    start: int, upstreams: Callable[[Collection[int]], Iterable[tuple[int, int]]]
) -> list[int] | None:
    """Return a shortest path of jobs from ``start`` through upstreams back to ``start``, or None.

    ``upstreams`` answers (job, upstream) of many jobs at once: it is asked once a level.
    """
    came_from: dict[int, int] = {}
    border = {start}
    while border:
        fresh: set[int] = set()
        for job, upstream in upstreams(border):
            if upstream == start:
                return _path(start, job, came_from)
            if upstream not in came_from:
                came_from[upstream] = job
                fresh.add(upstream)
        border = fresh
    return None


def _path(start: int, last: int, came_from: dict[int, int]) -> list[int]:
    path = [start]
    job = last
    while job != start:
        path.append(job)
        job = came_from[job]
    return [start, *reversed(path)]
