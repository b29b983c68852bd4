"""What ``manage.py simulate`` refuses: documents with exit 2, actions with a word why (D-72)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.flow.documents import DAILY, DOCUMENT, Simulate


def with_job(**words: Any) -> dict[str, Any]:
    return DOCUMENT | {"jobs": [{"id": "A", "schedule": [DAILY]}, {"id": "B"} | words]}


def with_action(**words: Any) -> dict[str, Any]:
    return DOCUMENT | {"actions": [{"at": "2026-03-02T01:00:00"} | words]}


BAD: list[tuple[str, Any, str]] = [
    ("a list", [], "document"),
    ("text", "nothing but words", "document"),
    ("neither JSON nor YAML", "{]", "document"),
    ("no start", {"until": "2026-03-03T00:00:00", "jobs": []}, "start"),
    ("a silly end", DOCUMENT | {"until": "tomorrow"}, "until"),
    ("an unknown zone", DOCUMENT | {"zone": "Asia/Nowhere"}, "zone"),
    ("an unknown word", DOCUMENT | {"job": []}, "job"),
    ("no slots", DOCUMENT | {"slots": 0}, "slots"),
    ("jobs that are none", DOCUMENT | {"jobs": {}}, "jobs"),
    ("a job that is none", DOCUMENT | {"jobs": [1]}, "jobs[0]"),
    ("no id", DOCUMENT | {"jobs": [{"schedule": [DAILY]}]}, "jobs[0].id"),
    ("a label twice", DOCUMENT | {"jobs": [{"id": "A"}, {"id": "A"}]}, "jobs[1].id"),
    ("an unknown field", with_job(retries=3), "jobs[1].retries"),
    ("half a second", with_job(duration=0.5), "jobs[1].duration"),
    ("a negative budget", with_job(failedAttempts=-1), "jobs[1].failedAttempts"),
    ("a flag that is none", with_job(isSerial="yes"), "jobs[1].isSerial"),
    ("an unknown policy", with_job(misfirePolicy="none"), "jobs[1].misfirePolicy"),
    (
        "an unknown type",
        with_job(schedule=[{"type": 9, "expression": "x"}]),
        "jobs[1].schedule[0].type",
    ),
    (
        "a cron that never fires",
        with_job(schedule=[DAILY, {"type": 1, "expression": "0 0 0 30 2 ?"}]),
        "jobs[1].schedule[1].expression",
    ),
    (
        "an offset that is none",
        with_job(dependencies=[{"pre": "A", "offset": "d(0)"}]),
        "jobs[1].dependencies[0].offset",
    ),
    ("an unknown upstream", with_job(dependencies=[{"pre": "Z"}]), "jobs[1]"),
    (
        "a cycle",
        DOCUMENT
        | {
            "jobs": [
                {"id": "A", "schedule": [DAILY], "dependencies": [{"pre": "B"}]},
                {"id": "B", "schedule": [DAILY], "dependencies": [{"pre": "A"}]},
            ]
        },
        "jobs[",
    ),
    ("outcomes that are none", DOCUMENT | {"outcomes": {"A": ["explode"]}}, "outcomes['A']"),
    ("an unknown action", with_action(do="dance"), "actions[0].do"),
    ("an action without its task", with_action(do="kill"), "actions[0].task"),
    ("an action at no time", DOCUMENT | {"actions": [{"do": "run", "job": "A"}]}, "actions[0].at"),
]


@pytest.mark.parametrize(("document", "place"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_document_ends_with_two_and_one_line_that_names_the_place(
    simulate: Simulate, document: Any, place: str
) -> None:
    code, out, err = simulate(document)

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith(place)
    assert ": " in err


ACTIONS: list[tuple[str, dict[str, Any]]] = [
    ("an unknown task", {"do": "kill", "task": "Z@2026-03-02T12:00:00"}),
    ("an unknown job", {"do": "run", "job": "Z"}),
    ("a job that is no text", {"do": "run", "job": ["A"]}),
    ("a status that is none", {"do": "status", "job": "A", "status": 3}),
    ("a system status that is none", {"do": "system", "status": "off"}),
    ("a system status of a silly kind", {"do": "system", "status": [1]}),
    ("a slot that is none", {"do": "skip", "job": "A", "due": "2026-03-02T12:00:01"}),
    (
        "no gap",
        {"do": "fill", "job": "A", "from": "2026-03-02T00:00:00", "to": "2026-03-02T01:00:00"},
    ),
    ("a bad expression", {"do": "set_schedule", "job": "A", "schedule": [{"expression": "x"}]}),
    (
        "a bad offset",
        {"do": "set_dependencies", "job": "B", "dependencies": [{"pre": "A", "offset": "x"}]},
    ),
    ("a bad definition", {"do": "submit", "job": {"id": "C", "duration": "long"}}),
    ("no definition", {"do": "submit", "job": 3}),
]


@pytest.mark.parametrize("action", [a[1] for a in ACTIONS], ids=[a[0] for a in ACTIONS])
def test_a_bad_action_is_a_refusal_and_the_rehearsal_goes_on(
    simulate: Simulate, action: dict[str, Any]
) -> None:
    code, out, err = simulate(with_action(**action))

    assert (code, err) == (0, "")
    report = json.loads(out)
    (refusal,) = report["refused"]
    assert (refusal["at"], refusal["do"]) == ("2026-03-02T01:00:00", action["do"])
    assert refusal["msg"]
    assert len(report["tasks"]) == 4
