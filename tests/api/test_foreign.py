"""Every endpoint and another app's things: the answer is that of an unknown id (W-21, D-80)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.samples import CASES, OWNED, SAMPLES, make_world, put, rows, words_in
from tests.builders import KEY
from tests.caller import Answer, Caller
from tests.unit.test_wire_docs import endpoints

UNIFORM = "appName or appToken is wrong."


def crossed(path: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each sample with each of its things, which is to be another app's."""
    for sample in SAMPLES[path]:
        for word in dict.fromkeys(words_in(sample)):
            yield sample, word


ADMINS = {path for path, view in endpoints().items() if view.for_admins}
#: What names nothing that is there already.
WITHOUT_IDS = {
    "/api/artifact/add",
    "/api/artifact/list",
    "/api/job/list",
    "/api/script/add",
    "/api/script/list",
}
CROSSED = [path for path in SAMPLES if path not in ADMINS and list(crossed(path))]


def told(answer: Answer, values: dict[str, int]) -> tuple[int, int, str]:
    """Return an answer with the ids that were asked for blotted out."""
    text = f"{answer.msg}\n{answer.data}"
    for word in OWNED:
        text = text.replace(str(values[word]), word)
    return answer.status, answer.code, text


#: What begins something new, or lists what is one's own.
WITHOUT_IDS = {
    *("/api/job/list", "/api/script/add", "/api/script/list"),
    *("/api/artifact/add", "/api/artifact/list"),
}


def test_every_endpoint_is_crossed_or_takes_no_id_or_is_for_admins() -> None:
    assert set(endpoints()) == {*CROSSED, *ADMINS, *WITHOUT_IDS}


@pytest.mark.parametrize("path", CROSSED)
def test_another_apps_thing_is_answered_like_an_unknown_one_and_left_alone(
    path: str, caller: Caller, other: Caller
) -> None:
    own, theirs = make_world(caller.app), make_world(other.app, number=1)
    before = rows()

    for sample, word in crossed(path):
        foreign, unknown = own | {word: theirs[word]}, own | {word: theirs[word] + 1_000_000}
        answers = [caller.post(path, **put(sample, values)) for values in (foreign, unknown)]

        assert [answer.code for answer in answers] == [1, 1], sample
        assert told(answers[0], foreign) == told(answers[1], unknown)
        assert "job 1" not in answers[0].msg
        assert rows() == before, sample


def test_a_wrong_key_changes_nothing_and_learns_nothing(caller: Caller) -> None:
    values = make_world(caller.app)
    before = rows()
    del before["AuthFailure"]

    for number, (path, sample) in enumerate(CASES):
        guesser = caller.elsewhere(key=KEY[::-1], address=f"10.9.9.{number % 250}")
        answer = guesser.post(path, **put(sample, values))
        assert (answer.code, answer.msg, answer.data) == (1, UNIFORM, {}), path

    after = rows()
    del after["AuthFailure"]
    assert after == before


def test_one_foreign_id_among_own_ones_is_told_as_unknown_and_the_others_are_done(
    caller: Caller, other: Caller
) -> None:
    own, theirs = make_world(caller.app), make_world(other.app, number=1)

    reply = caller.post("/api/task/kill", taskIds=[own["READY"], theirs["READY"]])

    assert [(each["code"], each["status"]) for each in reply.data["results"]] == [(0, 6), (1, None)]


def test_no_list_and_no_filter_shows_a_foreign_job(caller: Caller, other: Caller) -> None:
    own, theirs = make_world(caller.app), make_world(other.app, number=1)
    words = ("JOB", "UPSTREAM", "BOUND", "ONE_OFF")
    mine, foreign = ({ids[word] for word in words} for ids in (own, theirs))
    span = {"from": own["NEXT"] - 3 * 86_400_000, "to": own["NEXT"]}

    for filters in ({}, {"jobName": "job"}, {"appName": other.app.name}, {"jobType": "dummy"}):
        listed = caller.post("/api/job/list", **filters).data["jobs"]
        planned = caller.post("/api/job/plan", **filters, **span).data["runs"]
        shown = {each["jobId"] for each in [*listed, *planned]}
        assert shown <= mine
        assert not shown & foreign
