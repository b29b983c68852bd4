"""Admin: jobs are listed, submitted, edited and acted on, by the very services of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import BaseFormSet, ModelForm
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path

from jobs import services
from jobs.admin.change_sets import DependencySet, ExpressionSet
from jobs.admin.inlines import DependencyInline, ExpressionInline
from jobs.admin.job_form import JobForm
from jobs.admin.job_list import StatusFilter, TypeFilter
from jobs.admin.preview import preview
from jobs.admin.rendered import rendered
from jobs.admin.saving import apply, submit
from jobs.models import Job
from jobs.rules.enums import JobStatus
from sentinel_project import clock
from sentinel_project.admin_base import (
    Acting,
    SentinelAdmin,
    acting,
    instant,
    labelled,
    problems_of,
    when,
)
from sentinel_project.errors import InvalidParameters, SentinelError
from tasks_app.services import run_now

_WHAT = ("app", "name", "job_type", "content_type", "content", "extra")
_HOW = (
    ("worker_group", "priority"),
    ("max_retries", "retry_interval"),
    ("expire_after", "timeout"),
    ("misfire_policy", "is_serial"),
    ("is_shared", "callback_url"),
)
_WHEN = ("time_zone", "active_from", "active_until")
_LABELS = (("department", "biz_groups"),)
_MADE = ("status_now", "is_one_off", "created_by", "created", "updated", "next_runs")
#: A verb, and from which statuses it is offered.
_STATUS_VERBS: dict[str, tuple[JobStatus, frozenset[JobStatus]]] = {
    "pause": (JobStatus.PAUSED, frozenset({JobStatus.ACTIVE, JobStatus.DISABLED})),
    "resume": (JobStatus.ACTIVE, frozenset({JobStatus.PAUSED})),
    "enable": (JobStatus.ACTIVE, frozenset({JobStatus.DISABLED})),
    "disable": (JobStatus.DISABLED, frozenset({JobStatus.ACTIVE, JobStatus.PAUSED})),
    "trash": (
        JobStatus.TRASHED,
        frozenset({JobStatus.ACTIVE, JobStatus.PAUSED, JobStatus.DISABLED}),
    ),
}


@admin.register(Job)
class JobAdmin(SentinelAdmin):
    form = JobForm
    inlines = (ExpressionInline, DependencyInline)
    list_display = (
        "id",
        "name",
        "app",
        "job_type",
        "status_label",
        "schedule",
        "next_run",
        "worker_group",
        "priority",
    )
    list_display_links = ("id", "name")
    list_filter = (StatusFilter, "app", TypeFilter, "worker_group")
    list_select_related = ("app", "worker_group")
    search_fields = ("name", "department", "created_by")
    search_help_text = "id, name, department or submitter"
    ordering = ("-pk",)
    actions = ("run", "pause", "resume", "disable")
    change_form_outer_before_template = "admin/sentinel/job_acts.html"

    class Media:
        js = ("sentinel/preview.js", "sentinel/rendered.js", "sentinel/confirm.js")

    # -- lists -------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return super().get_queryset(request).prefetch_related("expressions")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        found, is_distinct = super().get_search_results(request, queryset, search_term)
        if search_term.isascii() and search_term.isdigit() and len(search_term) < 19:
            found |= queryset.filter(pk=int(search_term))
        return found, is_distinct

    @labelled("status")
    def status_label(self, job: Job) -> str:
        return job.status_at(clock.now()).name

    @admin.display(description="status")
    def status_now(self, job: Job) -> str:
        return job.status_at(clock.now()).name

    @admin.display(description="schedule")
    def schedule(self, job: Job) -> str:
        return ", ".join(row.text for row in job.expressions.all()) or "-"

    @admin.display(description="next run")
    def next_run(self, job: Job) -> str:
        dues = [row.next_due_at for row in job.expressions.all() if row.next_due_at]
        return when(min(dues, default=None))

    created = staticmethod(instant("created_at"))
    updated = staticmethod(instant("updated_at"))

    @admin.display(description="next runs")
    def next_runs(self, job: Job) -> str:
        times = services.next_times(job, now=clock.now(), count=3)
        return (
            ", ".join(f"{at.astimezone(job.zone):%a %Y-%m-%d %H:%M:%S %Z}" for at in times) or "-"
        )

    # -- the page of a job -------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        what = _WHAT if obj else (*_WHAT, ("status", "is_one_off"))
        if obj and self.has_change_permission(request, obj):
            what = (*what, "revision")
        return [
            (None, {"fields": what}),
            ("How it runs", {"fields": _HOW}),
            ("When it runs", {"fields": _WHEN, "description": "The active window is in UTC."}),
            ("Labels", {"fields": _LABELS}),
            *([("Record", {"fields": _MADE})] if obj else []),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("app", *_MADE) if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_final = obj is not None and obj.status == JobStatus.TRASHED
        return not is_final and super().has_change_permission(request, obj)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        extra: dict[str, Any] = {}
        if job is not None:
            times = services.next_times(job, now=clock.now(), count=10)
            extra = {
                "can_act": self.has_act_permission(request) and job.status != JobStatus.TRASHED,
                "can_restore": self.has_act_permission(request) and job.status == JobStatus.TRASHED,
                "status_verbs": [
                    verb for verb, (_, froms) in _STATUS_VERBS.items() if job.status in froms
                ],
                "slots": [
                    (at.isoformat(), f"{at.astimezone(job.zone):%a %Y-%m-%d %H:%M:%S %Z}")
                    for at in times
                ],
            }
        return super().change_view(request, object_id, form_url, (extra_context or {}) | extra)

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        """Nothing yet: a job and what belongs to it are saved together."""

    def save_related(
        self,
        request: HttpRequest,
        form: ModelForm[Any],
        formsets: Iterable[BaseFormSet[Any]],
        change: bool,
    ) -> None:
        assert isinstance(form, JobForm)
        schedule, dependencies = cast(tuple[ExpressionSet, DependencySet], tuple(formsets))
        with acting(request) as who:
            if change:
                apply(form, schedule, dependencies, who)
            else:
                form.instance.pk = submit(form, schedule, dependencies, who)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> list[Any]:
        """Only who and when: what changed is in the audit log."""
        return []

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview_view)
        rendering = self.admin_site.admin_view(self.rendered_view)
        return [
            path("preview/", view, name="jobs_job_preview"),
            path("rendered/", rendering, name="jobs_job_rendered"),
            *super().get_urls(),
        ]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """GET …/preview/: the next runs of an expression that is being typed."""
        if not self.has_view_permission(request) and not self.has_add_permission(request):
            return JsonResponse({"valid": False, "msg": "you may not see jobs"}, status=403)
        return preview(request, now=clock.now())

    def rendered_view(self, request: HttpRequest) -> HttpResponse:
        """POST …/rendered/: content that is being typed, with its placeholders filled in."""
        if not self.has_change_permission(request) and not self.has_add_permission(request):
            return JsonResponse({"valid": False, "msg": "you may not edit jobs"}, status=403)
        sees_scripts = request.user.has_perm("jobs.view_script")
        return rendered(request, sees_scripts=sees_scripts, now=clock.now())

    # -- verbs -------------------------------------------------------------------------------------

    def set_status(self, request: HttpRequest, job: Job) -> None:
        verb = request.POST["verb"]
        with acting(request) as who:
            services.set_status(job.pk, _STATUS_VERBS[verb][0], **who.words)
        self.message_user(request, f"{job.name}: {verb} done.")

    def run_one(self, request: HttpRequest, job: Job) -> None:
        with acting(request) as who:
            task = run_now(job.pk, **who.words)
        self.message_user(request, f"{job.name} runs now as task {task.pk}.")

    def skip(self, request: HttpRequest, job: Job) -> None:
        try:
            due_at = datetime.fromisoformat(request.POST.get("due_at", ""))
        except ValueError as error:
            raise InvalidParameters("choose the run that is to be skipped") from error
        if due_at.tzinfo is None:
            raise InvalidParameters("choose the run that is to be skipped")
        reason = request.POST.get("reason", "")[:1000]
        with acting(request) as who:
            services.skip_slot(job.pk, due_at, reason=reason, **who.words)
        self.message_user(request, f"The run of {job.name} due {when(due_at)} is skipped.")

    def restore(self, request: HttpRequest, job: Job) -> None:
        with acting(request) as who:
            services.restore_job(job.pk, **who.words)
        self.message_user(request, f"{job.name} is back, DISABLED; enable it when it is ready.")

    verbs = {
        **dict.fromkeys(_STATUS_VERBS, set_status),
        "run": run_one,
        "skip": skip,
        "restore": restore,
    }

    @admin.action(description="Run now", permissions=["act"])
    def run(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._each(request, queryset, lambda job, who: run_now(job.pk, **who.words))

    @admin.action(description="Pause", permissions=["act"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._each(request, queryset, _to(JobStatus.PAUSED))

    @admin.action(description="Resume or enable", permissions=["act"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._each(request, queryset, _to(JobStatus.ACTIVE))

    @admin.action(description="Disable", permissions=["act"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._each(request, queryset, _to(JobStatus.DISABLED))

    def _each(
        self, request: HttpRequest, jobs: QuerySet[Job], act: Callable[[Job, Acting], object]
    ) -> None:
        answers = []
        with acting(request) as who:
            for job in jobs.order_by("pk"):
                try:
                    act(job, who)
                    answers.append((True, f"{job.name}: done"))
                except SentinelError as refusal:
                    answers.append((False, f"{job.name}: {problems_of(refusal)[0]}"))
        self.tell_each(request, answers)


def _to(status: JobStatus) -> Callable[[Job, Acting], object]:
    return lambda job, who: services.set_status(job.pk, status, **who.words)
