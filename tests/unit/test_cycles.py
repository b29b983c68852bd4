"""Cycles: a job that would wait for itself is found, with the way (D-39)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from jobs.rules.cycles import find_cycle

Graph = Mapping[int, set[int]]


def cycle(graph: Graph, start: int = 1) -> list[int] | None:
    return find_cycle(
        start,
        lambda jobs: [(job, up) for job in sorted(jobs) for up in sorted(graph.get(job, set()))],
    )


def test_a_chain_is_no_cycle() -> None:
    assert cycle({1: {2}, 2: {3}, 3: set()}) is None


def test_a_diamond_is_no_cycle() -> None:
    assert cycle({1: {2, 3}, 2: {4}, 3: {4}}) is None


def test_the_way_is_told_from_the_job_back_to_it() -> None:
    assert cycle({1: {2}, 2: {3}, 3: {1}}) == [1, 2, 3, 1]


def test_a_job_that_waits_for_itself_is_the_shortest_cycle() -> None:
    assert cycle({1: {1}}) == [1, 1]


def test_the_shortest_way_is_told() -> None:
    assert cycle({1: {2, 5}, 2: {3}, 3: {1}, 5: {1}}) == [1, 5, 1]


def test_it_is_asked_once_a_level_however_many_jobs_that_has() -> None:
    levels: Graph = {1: set(range(2, 500))} | {job: {1000} for job in range(2, 500)}
    asked = []

    def upstreams(jobs: Collection[int]) -> list[tuple[int, int]]:
        asked.append(len(jobs))
        return [(job, up) for job in jobs for up in levels.get(job, set())]

    assert find_cycle(1, upstreams) is None
    assert asked == [1, 498, 1]


def test_a_cycle_of_others_is_not_this_jobs() -> None:
    assert cycle({1: {2}, 2: {3}, 3: {2}}) is None


def test_a_chain_of_thousands_needs_no_deep_stack() -> None:
    chain: Graph = {job: {job + 1} for job in range(1, 20_000)} | {20_000: {1}}

    way = cycle(chain)

    assert way is not None
    assert (len(way), way[0], way[-1]) == (20_001, 1, 1)


GRAPHS = st.dictionaries(st.integers(1, 8), st.sets(st.integers(1, 8)), max_size=8)


@given(graph=GRAPHS)
def test_a_cycle_is_found_exactly_where_the_job_can_reach_itself(graph: Graph) -> None:
    reached: set[int] = set()
    border = set(graph.get(1, set()))
    while border:
        reached |= border
        border = {up for job in border for up in graph.get(job, set())} - reached

    way = cycle(graph)

    assert (way is not None) is (1 in reached)
    if way is not None:
        assert (way[0], way[-1]) == (1, 1)
        assert all(up in graph[job] for job, up in pairwise(way))
