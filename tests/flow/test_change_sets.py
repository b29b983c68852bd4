"""Fields, upstreams and expressions are one change set, judged as a whole (D-57, D-58)."""

from __future__ import annotations

import pytest

from jobs.models import App, ScheduleExpression
from jobs.rules.enums import Edit
from jobs.rules.spec import ScheduleEdit
from jobs.services import edit_job, set_schedule
from sentinel_project.errors import InvalidParameters
from tests.builders import make_app
from tests.engine import ANN, after, at, cron, submit

pytestmark = pytest.mark.django_db

NOW = at("2 12:00")


@pytest.fixture
def app(db: None) -> App:
    return make_app()


@pytest.mark.parametrize(
    "modes",
    [(Edit.EDIT, Edit.DELETE), (Edit.DELETE, Edit.EDIT), (Edit.EDIT, Edit.EDIT)],
    ids=str,
)
def test_an_expression_that_is_named_twice_is_refused(app: App, modes: tuple[Edit, Edit]) -> None:
    job = submit(app, "daily", now=NOW, schedule=(cron("0 3 * * *"),))
    row = job.expressions.get()
    edits = [ScheduleEdit(mode=mode, expression_id=row.pk, text="0 4 * * *") for mode in modes]

    with pytest.raises(InvalidParameters) as refusal:
        set_schedule(job.pk, edits, app=app, user=ANN, now=NOW)

    field = "scheduleExpressionList.expressionId"
    assert refusal.value.problems == (f"{field}: {row.pk} is named twice",)
    assert ScheduleExpression.objects.get().text == "0 3 * * *"


def test_the_graph_is_judged_once_as_it_is_in_the_end(app: App) -> None:
    """D-36: without expressions the job needs the dependency that comes in the same set."""
    upstream = submit(app, "upstream", now=NOW, schedule=(cron("0 3 * * *"),))
    job = submit(app, "job", now=NOW, schedule=(cron("0 5 * * *"),))
    gone = ScheduleEdit(mode=Edit.DELETE, expression_id=job.expressions.get().pk)

    edit_job(job.pk, {}, links=[after(upstream)], schedule=[gone], app=app, user=ANN, now=NOW)

    assert not job.expressions.exists()
    assert job.dependencies.get().upstream == upstream


def test_a_graph_that_is_wrong_in_the_end_takes_the_fields_back_too(app: App) -> None:
    upstream = submit(app, "upstream", now=NOW, schedule=(cron("0 3 * * *"),))
    job = submit(app, "job", now=NOW, schedule=(cron("0 5 * * *"),))
    links = [after(upstream, "h(-1)")]

    with pytest.raises(InvalidParameters, match="holds no run"):
        edit_job(job.pk, {"priority": 7}, links=links, app=app, user=ANN, now=NOW)

    job.refresh_from_db()
    assert (job.priority, job.dependencies.count()) == (1, 0)
