"""Catch-up: which missed slots are opened, and what is written of the others (D-23)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.rules.enums import GapReason, MisfirePolicy
from tasks_app.rules.catchup import MAX_CAUGHT_UP, Decision, Slot, decide

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def ago(minutes: float) -> datetime:
    return NOW - minutes * MINUTE


def decided(
    slots: Sequence[Slot],
    *,
    policy: MisfirePolicy = MisfirePolicy.ALL,
    grace: timedelta = timedelta(0),
    expire_after: timedelta = timedelta(0),
) -> Decision:
    return decide(slots, now=NOW, grace=grace, policy=policy, expire_after=expire_after)


def each_minute(count: int, *, expression_id: int = 1) -> list[Slot]:
    """Return a slot for each of the last ``count`` minutes, the newest now."""
    return [Slot(ago(minutes), expression_id) for minutes in reversed(range(count))]


def reasons(decision: Decision) -> dict[GapReason, int]:
    return dict(Counter(m.reason for m in decision.missed for _ in m.due_at))


def test_no_slots_are_no_decision() -> None:
    decision = decided([])

    assert (decision.open, decision.missed) == ({}, [])


@pytest.mark.parametrize("policy", list(MisfirePolicy))
def test_what_is_not_older_than_the_grace_is_no_business_of_the_policy(
    policy: MisfirePolicy,
) -> None:
    slots = [Slot(ago(1), 1), Slot(ago(0.5), 1), Slot(NOW, 1)]

    decision = decided(slots, policy=policy, grace=MINUTE)

    assert list(decision.open) == [ago(1), ago(0.5), NOW]
    assert decision.missed == []


def test_all_opens_the_hundred_newest_and_caps_the_rest() -> None:
    decision = decided(each_minute(131))

    # The newest is not missed: its instant is now.
    assert list(decision.open) == [ago(minutes) for minutes in reversed(range(101))]
    (capped,) = decision.missed
    assert (capped.reason, len(capped.due_at)) == (GapReason.CAPPED, 30)
    assert capped.due_at[0] == ago(130)


def test_last_opens_the_newest_missed_one_and_what_is_on_time() -> None:
    decision = decided(each_minute(5), policy=MisfirePolicy.LAST)

    assert list(decision.open) == [ago(1), NOW]
    assert reasons(decision) == {GapReason.SKIPPED: 3}


def test_skip_opens_nothing_that_was_missed() -> None:
    decision = decided(each_minute(5), policy=MisfirePolicy.SKIP)

    assert list(decision.open) == [NOW]
    assert reasons(decision) == {GapReason.SKIPPED: 4}


def test_expired_slots_are_no_part_of_the_hundred() -> None:
    decision = decided(each_minute(201), expire_after=150 * MINUTE)

    assert len(decision.open) == MAX_CAUGHT_UP + 1
    assert reasons(decision) == {GapReason.EXPIRED: 51, GapReason.CAPPED: 49}


def test_a_slot_expires_at_the_very_end_of_its_time() -> None:
    decision = decided([Slot(ago(10), 1), Slot(ago(9), 1)], expire_after=10 * MINUTE)

    assert list(decision.open) == [ago(9)]
    assert reasons(decision) == {GapReason.EXPIRED: 1}


def test_zero_never_expires() -> None:
    assert list(decided([Slot(NOW - 3000 * DAY, 1)]).open) == [NOW - 3000 * DAY]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param(MisfirePolicy.SKIP, {GapReason.SKIPPED: 3}, id="skip"),
        pytest.param(MisfirePolicy.LAST, {GapReason.SKIPPED: 2, GapReason.EXPIRED: 1}, id="last"),
        pytest.param(MisfirePolicy.ALL, {GapReason.EXPIRED: 3}, id="all"),
    ],
)
def test_skip_and_last_decide_before_expiry_does(
    policy: MisfirePolicy, expected: dict[GapReason, int]
) -> None:
    slots = [Slot(ago(minutes), 1) for minutes in (40, 30, 20)]

    decision = decided(slots, policy=policy, expire_after=10 * MINUTE)

    assert (reasons(decision), decision.open) == (expected, {})


def test_the_policy_looks_at_all_expressions_together() -> None:
    slots = [Slot(ago(3), 1), Slot(ago(2), 2), Slot(ago(1), 1)]

    decision = decided(slots, policy=MisfirePolicy.LAST)

    assert decision.open == {ago(1): [1]}
    assert {(m.expression_id, m.due_at) for m in decision.missed} == {
        (1, (ago(3),)),
        (2, (ago(2),)),
    }


def test_a_slot_of_two_expressions_is_opened_once() -> None:
    decision = decided([Slot(NOW, 2), Slot(NOW, 1)])

    assert list(decision.open) == [NOW]


def test_a_slot_of_two_expressions_is_left_out_for_both() -> None:
    # Otherwise the other one would still be expected to yield it (D-19).
    decision = decided([Slot(ago(1), 1), Slot(ago(1), 2)], policy=MisfirePolicy.SKIP)

    assert sorted(m.expression_id for m in decision.missed) == [1, 2]


@given(
    named=st.sets(st.tuples(st.integers(0, 400), st.integers(1, 3)), max_size=200),
    policy=st.sampled_from(list(MisfirePolicy)),
    grace=st.integers(0, 5),
    expire_after=st.integers(0, 300),
)
def test_every_slot_is_opened_or_in_a_gap_and_never_both(
    named: set[tuple[int, int]], policy: MisfirePolicy, grace: int, expire_after: int
) -> None:
    slots = [Slot(ago(minutes), expression_id) for minutes, expression_id in named]

    decision = decided(
        slots, policy=policy, grace=grace * MINUTE, expire_after=expire_after * MINUTE
    )

    missed = [(m.expression_id, due) for m in decision.missed for due in m.due_at]
    assert len(missed) == len(set(missed))
    assert {due for _, due in missed} | set(decision.open) == {slot.due_at for slot in slots}
    assert not {due for _, due in missed} & set(decision.open)
    assert set(missed) <= {(slot.expression_id, slot.due_at) for slot in slots}
    assert list(decision.open) == sorted(decision.open)
    assert all(list(m.due_at) == sorted(m.due_at) for m in decision.missed)
    caught_up = [due for due in decision.open if due < NOW - grace * MINUTE]
    assert len(caught_up) <= MAX_CAUGHT_UP
