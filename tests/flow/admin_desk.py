"""The admin site in tests: who sits before it, a job to look at, and the page of one as a form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import ExpressionKind
from tests.builders import NOW, make_job


def superuser() -> Client:
    """Return a browser with olga logged in, who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("olga"))
    return client


def staff(*codenames: str) -> Client:
    """Return a browser with vera logged in, who has these permissions and no others."""
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def scheduled(text: str = "0 0 12 * * ?", **words: Any) -> Job:
    """Return a job with one cron expression that has not fired yet."""
    job = make_job(**words)
    ScheduleExpression.objects.create(
        job=job,
        kind=ExpressionKind.CRON,
        text=text,
        anchor_at=NOW,
        floor_at=NOW,
        next_due_at=datetime(2026, 3, 4, 4, tzinfo=UTC),
    )
    return job


def page_of(job: Job) -> str:
    return f"/admin/jobs/job/{job.pk}/change/"


def fields(**changes: object) -> dict[str, object]:
    """Return the page of a job as its form sends it, without expressions and dependencies."""
    return {
        "name": "nightly",
        "job_type": "dummy",
        "content_type": 1,
        "content": "{}",
        "extra": "{}",
        "worker_group": 1,
        "priority": 1,
        "max_retries": 0,
        "retry_interval": 3,
        "expire_after": 86400,
        "timeout": 0,
        "misfire_policy": "all",
        "time_zone": "Asia/Shanghai",
        **rows("expressions", 0),
        **rows("dependencies", 0),
    } | changes


def rows(prefix: str, stored: int, *forms: dict[str, object]) -> dict[str, object]:
    """Return the rows of an inline, of which the first ``stored`` exist already."""
    found: dict[str, object] = {
        f"{prefix}-TOTAL_FORMS": len(forms),
        f"{prefix}-INITIAL_FORMS": stored,
    }
    for index, form in enumerate(forms):
        found |= {f"{prefix}-{index}-{name}": value for name, value in form.items()}
    return found
