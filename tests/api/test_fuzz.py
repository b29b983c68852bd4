"""The API under requests that nobody thought of: no 500, and nothing that is not documented.

``FUZZ_CASES`` says how many for each operation; ``make fuzz`` takes hundreds.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests import fuzz
from tests.api.samples import make_places, make_world
from tests.caller import Caller

#: Few are the same ones every time, many are others.
FEW = 3
CASES = int(os.environ.get("FUZZ_CASES", FEW))
OPERATIONS = list(fuzz.operations())
#: Few requests share one world; of many, each operation has its own.
GROUPS = [OPERATIONS] if CASES <= FEW else [[operation] for operation in OPERATIONS]


@pytest.fixture
def attack(admin_caller: Caller) -> fuzz.Attack:
    """An ADMIN app in a world with one of everything."""
    world = make_world(admin_caller.app) | make_places()
    jobs = [world[name] for name in ("JOB", "UPSTREAM", "BOUND", "ONE_OFF")]
    tasks = [world[name] for name in ("READY", "FAILED", "DONE")]
    named = {
        "expressionId": [world["EXPRESSION"]],
        "departmentId": [world["DEPARTMENT"]],
        "bizGroupId": [world["BIZ_GROUP"]],
        "workerGroupId": [1, world["GROUP"]],
        "scheduleTime": [world["NEXT"], world["GAP"]],
    }
    named |= dict.fromkeys(("jobId", "jobIds", "jobIdList", "preJobId"), jobs)
    named |= dict.fromkeys(("taskId", "taskIds"), tasks)
    named |= {name: [world["GAP"]] for name in ("from", "startDate")}
    named |= {name: [world["NEAR"]] for name in ("to", "endDate")}
    return fuzz.Attack(admin_caller, named)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("group", GROUPS)
def test_requests_are_answered_as_documented(
    group: list[fuzz.Operation],
    attack: fuzz.Attack,
    record_property: Callable[[str, object], None],
) -> None:
    for operation in group:
        attack.run(operation, CASES, anew=CASES > FEW)

    assert set(attack.codes) <= {0, 1}
    record_property("requests", attack.codes.total())
    record_property("done", attack.codes[0])
