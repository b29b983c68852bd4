"""Cycles among dependencies (D-39)."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def find_cycle(start: int, upstreams: Callable[[int], Iterable[int]]) -> list[int] | None:
    """Return a path of jobs from ``start`` through upstreams back to ``start``, or None."""
    came_from: dict[int, int] = {}
    stack = [start]
    seen: set[int] = set()
    while stack:
        job = stack.pop()
        for upstream in upstreams(job):
            if upstream == start:
                return _path(start, job, came_from)
            if upstream not in seen:
                seen.add(upstream)
                came_from[upstream] = job
                stack.append(upstream)
    return None


def _path(start: int, last: int, came_from: dict[int, int]) -> list[int]:
    path = [start]
    job = last
    while job != start:
        path.append(job)
        job = came_from[job]
    return [start, *reversed(path)]
