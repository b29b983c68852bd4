"""The edge tables, held against the verbs of 3-execution.md 4 and the words of 1-domain.md 2."""

from __future__ import annotations

import pytest

from tasks_app.rules.states import (
    ALLOWED,
    ALLOWED_ATTEMPT,
    DONE,
    FINAL,
    LIVE,
    UNFINISHED,
    UNSTARTED,
    AttemptStatus,
    TaskStatus,
)

S = TaskStatus
A = AttemptStatus

#: Verb by verb: where a task may come from, and where it goes.
VERBS = {
    "release": ({S.WAITING}, {S.READY}),
    "claim": ({S.READY}, {S.RUNNING}),
    "settle": ({S.RUNNING}, {S.SUCCESS, S.FAILED, S.KILLED}),
    "retry": ({S.RUNNING}, {S.READY}),
    "rescue": ({S.RUNNING}, {S.READY, S.FAILED, S.KILLED}),
    "kill": ({S.WAITING, S.READY}, {S.KILLED}),
    "expire": ({S.WAITING, S.READY}, {S.FAILED}),
    "remove": ({S.WAITING, S.READY, S.FAILED, S.KILLED}, {S.REMOVED}),
    "operator's retry": ({S.FAILED, S.KILLED}, {S.READY}),
    "force": ({S.WAITING, S.READY, S.RUNNING, S.FAILED, S.KILLED}, {S.SUCCESS, S.FAILED}),
}


def test_the_edges_are_those_of_the_verbs_and_no_others() -> None:
    wanted = {
        (source, target)
        for sources, targets in VERBS.values()
        for source in sources
        for target in targets
        if source is not target
    }

    assert {(source, target) for source in S for target in ALLOWED[source]} - {
        (S.FAILED, S.FAILED)
    } == wanted


@pytest.mark.parametrize("status", [S.SUCCESS, S.REMOVED])
def test_nothing_leaves_what_is_final(status: TaskStatus) -> None:
    """D-3."""
    assert ALLOWED[status] == frozenset()


def test_a_status_is_unfinished_or_final() -> None:
    assert set(S) == UNFINISHED | FINAL
    assert not UNFINISHED & FINAL
    assert {S.RUNNING} == UNFINISHED - UNSTARTED


def test_done_is_success_or_removed() -> None:
    """D-34: FAILED and KILLED let nobody go."""
    assert {S.SUCCESS, S.REMOVED} == DONE


def test_an_attempt_ends_once_and_only_what_has_started_runs() -> None:
    assert {a for a in A if not ALLOWED_ATTEMPT[a]} == set(A) - LIVE
    assert A.STARTING not in {target for targets in ALLOWED_ATTEMPT.values() for target in targets}
    assert ALLOWED_ATTEMPT[A.RUNNING] == ALLOWED_ATTEMPT[A.STARTING] - {A.RUNNING}


@pytest.mark.parametrize("table", [ALLOWED, ALLOWED_ATTEMPT], ids=["task", "attempt"])
def test_each_status_has_its_line(table: dict[object, frozenset[object]]) -> None:
    assert {target for targets in table.values() for target in targets} <= set(table)


def test_the_numbers_are_the_published_ones() -> None:
    assert {status.name: status.value for status in S} == {
        "WAITING": 1,
        "READY": 2,
        "RUNNING": 3,
        "SUCCESS": 4,
        "FAILED": 5,
        "KILLED": 6,
        "REMOVED": 99,
    }
