"""The expression editor of the admin site: the next runs while somebody types (D-71)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from jobs.models import ScheduleExpression
from jobs.rules.enums import ExpressionKind
from tests.builders import NOW, make_job
from tests.flow.admin_desk import staff, superuser

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk() -> Client:
    """A browser with somebody logged in who may do everything."""
    return superuser()


def preview(client: Client, **words: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"kind": 1, "text": "0 30 2 * * ?", "zone": "Europe/Berlin"} | words
    answer: dict[str, Any] = client.get("/admin/jobs/job/preview/", asked).json()
    return answer


def test_the_editor_shows_five_runs_in_zone_and_utc_with_a_sentence(desk: Client) -> None:
    answer = preview(desk)

    assert answer["valid"] is True
    assert answer["sentence"].startswith("at 02:30 every day")
    assert len(answer["times"]) == 5
    assert all(time["local"].endswith(" 02:30:00") for time in answer["times"][:1])
    assert set(answer["times"][0]) == {"local", "utc", "note"}


def test_the_editor_notes_where_clocks_change(desk: Client) -> None:
    answer = preview(desk, text="0 30 2 L 3 ?", zone="Europe/Berlin")
    sundays = preview(desk, text="0 30 2 ? 3 7L")

    assert any(time["note"] is None for time in answer["times"])
    assert all("clocks go forward" in time["note"] for time in sundays["times"])


@pytest.mark.parametrize(
    "words",
    [
        {"text": "0 0 12 * *  x"},
        {"text": ""},
        {"kind": ""},
        {"kind": "9"},
        {"kind": "99999999999"},
        {"zone": "Mars/Base"},
        {"text": "0" * 5000},
        {"text": "0 0 0 30 2 ?"},
    ],
)
def test_the_editor_says_what_is_wrong(desk: Client, words: dict[str, str]) -> None:
    answer = preview(desk, **words)

    assert answer["valid"] is False
    assert answer["msg"]


def test_an_unchanged_rate_goes_on_from_its_anchor(desk: Client) -> None:
    job = make_job()
    row = ScheduleExpression.objects.create(
        job=job, kind=ExpressionKind.RATE, text="d(1)", anchor_at=NOW, floor_at=NOW
    )

    kept = preview(desk, kind=2, text="d(1)", id=row.pk, zone="UTC")
    anew = preview(desk, kind=2, text="d(2)", id=row.pk, zone="UTC")

    assert kept["times"][0]["utc"].endswith(f"{NOW:%H:%M:%S}")
    assert datetime.fromisoformat(anew["times"][0]["utc"]) > NOW.replace(tzinfo=None) + timedelta(1)


def test_the_editor_is_for_those_who_may_see_jobs() -> None:
    assert staff("view_task").get("/admin/jobs/job/preview/").status_code == 403
    assert Client().get("/admin/jobs/job/preview/").status_code == 302
