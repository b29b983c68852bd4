"""The checker of chaos runs finds each kind of violation, and nothing in a run that went well."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from chaos.checker import History, Line, Run, Try, check, read_witness

from tests.builders import NOW

SECOND = timedelta(seconds=1)
LOST = Try(
    number=1,
    fence=1,
    status="LOST",
    reason="LOST",
    claimed_at=NOW,
    started_at=NOW,
    ended_at=NOW + 5 * SECOND,
)
WON = Try(
    number=2,
    fence=3,
    status="SUCCESS",
    reason="",
    claimed_at=NOW + 7 * SECOND,
    started_at=NOW + 7 * SECOND,
    ended_at=NOW + 8 * SECOND,
    printed=b"yes",
)
RUN = Run(
    id=1,
    job_id=7,
    status=4,
    reason="",
    due_at=NOW,
    opened_at=NOW,
    started_at=NOW,
    ended_at=NOW + 8 * SECOND,
    fence=3,
    max_retries=1,
    retry_interval=2 * SECOND,
    tries=(LOST, WON),
)
WITNESS = """1 1 1 start 100.00
1 1 1 tick 100.20
1 2 3 start 107.00
1 2 3 end 107.50
"""
HISTORY = History(accepted={7: 1}, expected={7: b"yes"}, seen_success=[1], killed=[1])


def test_a_run_that_went_well_has_no_violation() -> None:
    assert check([RUN], read_witness(WITNESS), HISTORY) == []


def test_half_a_line_of_a_witness_is_left_out() -> None:
    assert read_witness("1 1 1 start 100.00\n1 1 1 ti") == [Line(1, 1, 1, "start", 100.0)]


EARLY = replace(WON, claimed_at=NOW + 6 * SECOND)
BEFORE_THE_END = replace(WON, claimed_at=NOW + 4 * SECOND)


@pytest.mark.parametrize(
    ("invariant", "runs"),
    [
        ("I1", [RUN, replace(RUN, id=2)]),
        ("I2", [replace(RUN, tries=(replace(LOST, ended_at=None), WON))]),
        ("I2", [replace(RUN, tries=(LOST, BEFORE_THE_END))]),
        ("I3", [replace(RUN, tries=(LOST, replace(WON, fence=1)))]),
        ("I3", [replace(RUN, fence=2)]),
        ("I3", [replace(RUN, tries=(WON,))]),
        ("I4", [replace(RUN, tries=(replace(LOST, fence=2), WON))]),
        ("I4", [replace(RUN, tries=(replace(LOST, started_at=None), WON))]),
        ("I5", [replace(RUN, status=5)]),
        ("I5", [replace(RUN, tries=(replace(LOST, status="SUCCESS"), WON))]),
        ("I6", [replace(RUN, max_retries=0)]),
        ("I6", [replace(RUN, tries=(LOST, EARLY))]),
        ("I7", [replace(RUN, status=2)]),
        ("I10", [replace(RUN, tries=(LOST, replace(WON, printed=b"ye")))]),
        ("I10", [replace(RUN, tries=(LOST, replace(WON, is_end=False)))]),
        ("I10", [replace(RUN, tries=(replace(LOST, printed=b"no"), WON))]),
        ("I12", [replace(RUN, job_id=8)]),
        ("I12", [replace(RUN, status=3)]),
        ("I14", [replace(RUN, reason="EXPIRED")]),
        ("I15", [replace(RUN, opened_at=NOW - 2 * SECOND)]),
    ],
)
def test_a_violation_in_the_database_is_found(invariant: str, runs: Sequence[Run]) -> None:
    found = check(runs, read_witness(WITNESS), HISTORY)

    assert [words for words in found if words.startswith(f"{invariant} ")], found


@pytest.mark.parametrize(
    ("booted_at", "is_early"), [(NOW - 101 * SECOND, True), (NOW - 100 * SECOND, False)]
)
def test_a_run_before_its_due_time_is_found_by_the_witness(
    booted_at: datetime, *, is_early: bool
) -> None:
    """I15: the clock that stamped the rows may have been wrong. The witness began at 100."""
    run = replace(RUN, due_at=NOW + SECOND)
    history = replace(HISTORY, booted_at=booted_at)

    found = check([run], read_witness(WITNESS), history)

    assert any("ran before its due time" in words for words in found) == is_early


def test_a_task_of_the_future_is_found() -> None:
    history = replace(HISTORY, now=RUN.due_at - 2 * SECOND)

    found = check([RUN], read_witness(WITNESS), history)

    assert "I15 task 1: its due time has not come yet" in found


@pytest.mark.parametrize(
    ("invariant", "line"),
    [
        pytest.param("I4", "9 1 1 start 100.00", id="a task that nobody knows"),
        pytest.param("I4", "1 3 5 start 109.00", id="an attempt that nobody recorded"),
        pytest.param("I9", "1 1 1 tick 107.10", id="an attempt beside the next"),
        pytest.param("I9", "1 1 1 start 101.00", id="an attempt twice"),
    ],
)
def test_a_violation_that_only_the_witness_saw_is_found(invariant: str, line: str) -> None:
    found = check([RUN], read_witness(f"{WITNESS}{line}\n"), HISTORY)

    assert [words for words in found if words.startswith(f"{invariant} ")], found


def test_a_success_without_an_end_is_found() -> None:
    found = check([RUN], read_witness(WITNESS.replace("end", "tick")), HISTORY)

    assert found == ["I4 task 1: attempt 2 succeeded and was not seen to end"]


@pytest.mark.parametrize(
    "upstream",
    [
        pytest.param(None, id="none"),
        pytest.param(replace(RUN, id=2, job_id=6, status=5), id="failed"),
        pytest.param(replace(RUN, id=2, job_id=6), id="ended later"),
    ],
)
def test_a_dependent_that_ran_too_early_is_found(upstream: Run | None) -> None:
    runs = [RUN] if upstream is None else [RUN, replace(upstream, tries=())]

    found = check(runs, read_witness(WITNESS), History(upstreams={7: [6]}))

    assert [words for words in found if words.startswith("I11 task 1")], found


def test_a_part_that_ended_by_itself_is_found() -> None:
    found = check([], [], History(ended=["beat1 ended with exit code 1"]))

    assert found == ["parts: it ended by itself: beat1 ended with exit code 1"]


def test_a_run_that_waits_for_several_is_held_against_each() -> None:
    done = replace(RUN, id=2, job_id=6, tries=(), ended_at=RUN.opened_at)

    found = check([RUN, done], read_witness(WITNESS), History(upstreams={7: [6, 5]}))

    assert found == ["I11 task 1: ran without its upstream"]


@pytest.mark.parametrize(
    ("excused", "found"),
    [((), ["own task 1: attempt 1 failed for SPAWN_FAILED"]), ({"SPAWN_FAILED"}, [])],
)
def test_a_failure_of_ours_is_found_unless_a_fault_excuses_it(
    excused: Collection[str], found: list[str]
) -> None:
    run = replace(RUN, tries=(replace(LOST, status="FAILED", reason="SPAWN_FAILED"), WON))

    assert check([run], read_witness(WITNESS), replace(HISTORY, excused=excused)) == found
