"""What an executor says of an end is stored, whatever characters it holds (X-7, PostgreSQL)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tasks_app import transitions
from tasks_app.models import Task
from tasks_app.rules.states import AttemptStatus, TaskStatus
from tests.builders import NOW, make_app, make_attempt
from tests.flow.races import a_name
from tests.flow.runs import job_of, run
from tests.flow.web_receiver import Receiver, receiving

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("postgres")]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("SENTINEL_HTTP_ALLOW_PRIVATE", "1")
    with receiving() as made:
        yield made


def test_a_binary_answer_with_a_wrong_status_is_a_failure_like_any_other(
    receiver: Receiver,
) -> None:
    receiver.status, receiver.body = 500, b"\x00\x01\xffno"

    ran = run(job_of("http", receiver.url(), app=make_app(name=a_name())))

    assert ran.ending == ("FAILED", "BACKEND")
    assert ran.task.reason_text.endswith("from 200 to 299. \\u0000\x01�no")


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param({"reason": "R" * 33}, id="a reason longer than its column"),
        pytest.param({"reason": "\x00"}, id="a reason with a NUL"),
        pytest.param({"text": "half \ud83d of a character"}, id="half a surrogate pair"),
        pytest.param({"text": "x" * 10_000_000}, id="a text of megabytes"),
        pytest.param({"exit_code": -(10**5000)}, id="an exit code that Python does not print"),
    ],
)
def test_whatever_an_end_is_called_it_is_settled(ending: dict[str, Any]) -> None:
    attempt = make_attempt(task__job__app__name=a_name())

    transitions.settle(attempt, transitions.Ending(status=AttemptStatus.FAILED, **ending), now=NOW)

    task = Task.objects.get(pk=attempt.task_id)
    assert TaskStatus(task.status) is TaskStatus.FAILED
    assert len(task.reason_text) <= 10_000
