"""Admin: tasks are listed, explained, and acted on by the services of the API (1-domain.md 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from jobs.models import Job
from sentinel_project.admin_base import Acting, ReadOnlyAdmin, acting, instant, labelled
from sentinel_project.errors import InvalidParameters, SentinelError
from tasks_app import services
from tasks_app.admin.task_page import page_of
from tasks_app.models import Task
from tasks_app.rules.states import ALLOWED, TaskStatus
from tasks_app.services import TaskAnswer

_FORCED = {"force_success": TaskStatus.SUCCESS, "force_failed": TaskStatus.FAILED}
_MAX_REASON = 1000
_OFFERED_JOBS = 50
Many = Callable[..., list[TaskAnswer]]


class JobFilter(admin.SimpleListFilter):
    """By job: the ones edited last are offered, and whichever a link names."""

    title = "job"
    parameter_name = "job"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = Job.objects.order_by("-updated_at")[:_OFFERED_JOBS]
        chosen = Job.objects.filter(pk=_id(request.GET.get(self.parameter_name, "")) or 0)
        named = {job.pk: job.name for job in (*chosen, *rows)}
        return [(str(pk), name) for pk, name in named.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Task]) -> QuerySet[Task]:
        job_id = _id(self.value() or "")
        return queryset if job_id is None else queryset.filter(job_id=job_id)


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "job",
        "status_label",
        "reason",
        "kind",
        instant("due_at"),
        instant("started_at"),
        instant("ended_at"),
        "attempt_count",
    )
    list_filter = (
        "status",
        "kind",
        ("due_at", admin.DateFieldListFilter),
        "job__app",
        JobFilter,
    )
    list_select_related = ("job",)
    search_fields = ("job__name",)
    search_help_text = "a task's id, or part of a job's name"
    ordering = ("-pk",)
    actions = ("kill", "retry", "remove", "force_success", "force_failed")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Task], search_term: str
    ) -> tuple[QuerySet[Task], bool]:
        task_id = _id(search_term.strip())
        if task_id is not None:
            return queryset.filter(pk=task_id), False
        return super().get_search_results(request, queryset, search_term)

    @labelled("status")
    def status_label(self, task: Task) -> str:
        return TaskStatus(task.status).name

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """GET …/<id>/change/: everything that is known of one task."""
        task = self.get_object(request, object_id)
        if task is None or not self.has_view_permission(request, task):
            return super().change_view(request, object_id, form_url, extra_context)
        can_act = self.has_act_permission(request)
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": f"Task {task.pk}",
            "subtitle": str(task.job),
            "opts": self.opts,
            "original": task,
            "verbs": _offered(task) if can_act else [],
            **page_of(
                task,
                can_read=request.user.has_perm("tasks_app.view_attempt"),
                at=request.GET.get("at", "").strip(),
            ),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/sentinel/task.html", context)

    # -- verbs on one task -------------------------------------------------------------------------

    def act_one(self, request: HttpRequest, task: Task) -> None:
        many: dict[str, Many] = {
            "kill": services.kill_tasks,
            "retry": services.retry_tasks,
            "remove": services.remove_tasks,
        }
        verb = request.POST["verb"]
        with acting(request) as who:
            if verb in _FORCED:
                answers = [_force(task.pk, verb, _reason(request), who)]
            else:
                answers = _told(many[verb]([task.pk], **who.words), verb)
        self.tell_each(request, answers)

    verbs = dict.fromkeys(("kill", "retry", "remove", *_FORCED), act_one)

    # -- verbs on a selection ----------------------------------------------------------------------

    @admin.action(description="Kill", permissions=["act"])
    def kill(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        self._many(request, queryset, "kill", services.kill_tasks)

    @admin.action(description="Retry", permissions=["act"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        self._many(request, queryset, "retry", services.retry_tasks)

    @admin.action(description="Remove", permissions=["act"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        self._many(request, queryset, "remove", services.remove_tasks)

    @admin.action(description="Force to SUCCESS…", permissions=["act"])
    def force_success(self, request: HttpRequest, queryset: QuerySet[Task]) -> HttpResponse | None:
        return self._force_many(request, queryset, "force_success")

    @admin.action(description="Force to FAILED…", permissions=["act"])
    def force_failed(self, request: HttpRequest, queryset: QuerySet[Task]) -> HttpResponse | None:
        return self._force_many(request, queryset, "force_failed")

    def _many(self, request: HttpRequest, tasks: QuerySet[Task], verb: str, service: Many) -> None:
        with acting(request) as who:
            answers = service(_ids(tasks), **who.words)
        self.tell_each(request, _told(answers, verb))

    def _force_many(
        self, request: HttpRequest, tasks: QuerySet[Task], verb: str
    ) -> HttpResponse | None:
        """Ask for the reason first; with one, force each task."""
        if "reason" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": f"Force to {_FORCED[verb].name}",
                "opts": self.opts,
                "tasks": tasks.select_related("job").order_by("pk"),
                "verb": verb,
                "checkbox": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "admin/sentinel/force.html", context)
        try:
            reason = _reason(request)
        except SentinelError as refusal:
            self.tell_refusal(request, refusal)
            return None
        with acting(request) as who:
            answers = [_force(task_id, verb, reason, who) for task_id in _ids(tasks)]
        self.tell_each(request, answers)
        return None


def _offered(task: Task) -> list[str]:
    """Return the verbs that the task's status allows; the services decide all the same."""
    status = TaskStatus(task.status)
    unfinished = status in {TaskStatus.WAITING, TaskStatus.READY, TaskStatus.RUNNING}
    is_broken = status in {TaskStatus.FAILED, TaskStatus.KILLED}
    found = ["kill"] if unfinished else []
    found += ["retry"] if is_broken else []
    found += ["remove"] if unfinished or is_broken else []
    return found + [verb for verb, target in _FORCED.items() if target in ALLOWED[status]]


def _force(task_id: int, verb: str, reason: str, who: Acting) -> tuple[bool, str]:
    target = _FORCED[verb]
    try:
        services.force_status(task_id, target, reason=reason, **who.words)
    except SentinelError as refusal:
        return False, str(refusal)
    return True, f"task {task_id} was forced to {target.name}"


def _told(answers: Sequence[TaskAnswer], verb: str) -> list[tuple[bool, str]]:
    return [
        (
            answer.accepted,
            answer.message
            or f"{verb}: task {answer.task_id} is {answer.status.name if answer.status else '?'}",
        )
        for answer in answers
    ]


def _reason(request: HttpRequest) -> str:
    reason = request.POST.get("reason", "").strip()[:_MAX_REASON]
    if not reason:
        raise InvalidParameters("say why the status is forced")
    return reason


def _ids(tasks: QuerySet[Task]) -> list[int]:
    return list(tasks.order_by("pk").values_list("pk", flat=True))


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
