"""The frame of the admin site: its first page, which tells how things stand, and the sidebar."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse

from jobs.models import ScheduleExpression
from jobs.rules.enums import JobStatus
from sentinel_project import clock
from tasks_app import schedulers, workers
from tasks_app.models import SystemState, Task
from tasks_app.rules.states import TaskStatus

_NEXT = 8
#: Group, title, icon, and the model behind it.
_SIDEBAR = (
    ("", "Jobs", "work", "jobs.job"),
    ("", "Tasks", "checklist", "tasks_app.task"),
    ("", "Attempts", "replay", "tasks_app.attempt"),
    ("", "Scripts", "description", "jobs.script"),
    ("", "Artifacts", "deployed_code", "jobs.artifact"),
    ("Ledger", "Gaps", "event_busy", "tasks_app.gap"),
    ("Ledger", "Daily sums", "calendar_month", "tasks_app.dailysum"),
    ("Ledger", "Events", "bolt", "tasks_app.event"),
    ("Told", "Alarms", "notifications", "tasks_app.alarm"),
    ("Told", "Deliveries", "outgoing_mail", "tasks_app.delivery"),
    ("Ledger", "Audit log", "history", "jobs.auditentry"),
    ("Places", "Apps", "key", "jobs.app"),
    ("Places", "Connections and secrets", "lock", "jobs.credential"),
    ("Places", "Worker groups", "dns", "jobs.workergroup"),
    ("Places", "Departments", "apartment", "jobs.department"),
    ("Places", "Biz groups", "category", "jobs.bizgroup"),
    ("Places", "Workers", "memory", "tasks_app.worker"),
    ("Places", "Schedulers", "timer", "tasks_app.scheduler"),
    ("People", "Users", "person", "auth.user"),
    ("People", "Groups", "group", "auth.group"),
)
_RECENT = timedelta(hours=24)


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the person may see; called by the theme for the index page."""
    now = clock.now()
    user = request.user
    found: dict[str, Any] = {
        "title": "Dashboard",
        "system": SystemState.objects.filter(pk=1).first(),
    }
    found["can_switch"] = user.has_perm("tasks_app.change_systemstate")
    if user.has_perm("tasks_app.view_task"):
        found["counts"] = _counts(now)
    if user.has_perm("jobs.view_job"):
        found["next_due"] = _next_due()
    if user.has_perm("tasks_app.view_scheduler"):
        found["schedulers"] = schedulers.live(now).order_by("name")
    if user.has_perm("tasks_app.view_worker"):
        found["workers"] = workers.live(now).prefetch_related("groups").order_by("name")
    return context | found


def _counts(now: Any) -> list[tuple[str, int, str]]:
    """Return name, number and link: what is unfinished, and what ended in the last day."""
    tasks = reverse("admin:tasks_app_task_changelist")
    open_ones = [TaskStatus.RUNNING, TaskStatus.READY, TaskStatus.WAITING]
    rows = Task.objects.filter(status__in=[status.value for status in open_ones])
    counted = dict(rows.values_list("status").annotate(Count("pk")).order_by())
    ended = Task.objects.filter(ended_at__gte=now - _RECENT)
    done = dict(ended.values_list("status").annotate(Count("pk")).order_by())
    shown = [
        *((status, status.name.lower(), counted) for status in open_ones),
        (TaskStatus.FAILED, "failed in 24 h", done),
        (TaskStatus.SUCCESS, "succeeded in 24 h", done),
    ]
    return [
        (name, numbers.get(status.value, 0), f"{tasks}?status__exact={status.value}")
        for status, name, numbers in shown
    ]


def _next_due() -> Any:
    rows = ScheduleExpression.objects.filter(
        next_due_at__isnull=False, job__status=JobStatus.ACTIVE
    )
    return rows.select_related("job").order_by("next_due_at")[:_NEXT]


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the pages that the person may see; asked for by the theme on every page."""
    groups: dict[str, list[dict[str, Any]]] = {
        "": [{"title": "Dashboard", "icon": "dashboard", "link": reverse("admin:index")}]
    }
    for group, title, icon, model in _SIDEBAR:
        label, name = model.split(".")
        if request.user.has_perm(f"{label}.view_{name}"):
            link = reverse(f"admin:{label}_{name}_changelist")
            groups.setdefault(group, []).append({"title": title, "icon": icon, "link": link})
    return [
        {"title": group, "separator": bool(group), "items": items}
        for group, items in groups.items()
    ]
