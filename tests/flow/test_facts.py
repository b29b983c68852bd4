"""What is kept of jobs between passes may go at any time, and nobody may notice."""

from __future__ import annotations

import pytest

from jobs import facts
from tests.builders import make_app
from tests.engine import after, at, cron, submit

pytestmark = pytest.mark.django_db


def test_a_full_store_of_parsed_jobs_is_emptied_under_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, now = make_app(), at("2 00:00")
    known = submit(app, "known", now=now, schedule=(cron("0 12 * * *"),))
    fresh = submit(app, "fresh", now=now, dependencies=(after(known),))
    monkeypatch.setattr(facts, "_MAX_KEPT", 0)
    facts.facts_of([known])
    fresh.revision += 1

    found = facts.facts_of([known, fresh])

    assert [series.text for series in found[known.pk].series] == ["0 12 * * *"]
    assert [upstream.job_id for upstream in found[fresh.pk].upstreams] == [known.pk]
