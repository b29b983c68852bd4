"""The rules as data: every scenario, rehearsed with the real engine and held against its text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.engine import SCENARIOS, rehearse, scenario
from tests.scenario_check import problems

NAMES = sorted(path.name for path in SCENARIOS.glob("*.json"))


@pytest.mark.parametrize("name", NAMES, ids=lambda name: Path(name).stem)
def test_a_scenario_comes_out_as_its_rules_say(
    name: str, django_db_blocker: DjangoDbBlocker
) -> None:
    told = scenario(name)

    with django_db_blocker.unblock():
        report = rehearse(told["input"])

    found = problems(told, report)
    assert not found, "\n".join([f"{', '.join(told['rules'])}: {told['why']}", *found])


def test_scenarios_have_names_and_rules_of_their_own() -> None:
    told = [scenario(name) for name in NAMES]

    assert [f"{one['name']}.json" for one in told] == [name[4:] for name in NAMES]
    assert all(one["rules"] and one["why"].endswith(".") for one in told)


@pytest.mark.parametrize("name", ["032-fan-out-fan-in.json", "061-system-pause.json"])
def test_the_same_document_gives_the_same_bytes(
    name: str, django_db_blocker: DjangoDbBlocker
) -> None:
    document = scenario(name)["input"]

    with django_db_blocker.unblock():
        first, second = (json.dumps(rehearse(document)) for _ in range(2))

    assert first == second
