"""What the pages of the admin site share: who acts, what is read-only, how a refusal is told.

Everything that changes something is a POST with a CSRF token and calls a service, as the operators'
app and in the name of whoever is logged in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from django import forms
from django.contrib import messages
from django.contrib.admin import display as admin_display
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path

from jobs import audit
from jobs.models import App
from jobs.operators import operator
from sentinel_project import clock
from sentinel_project.errors import InvalidParameters, SentinelError
from sentinel_project.wire.address import address_of

if TYPE_CHECKING:
    # The theme says nothing about types; its classes are Django's with other templates. And
    # Django's are generic for the type checker alone.
    from django.contrib import admin
    from django.forms.models import BaseInlineFormSet

    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    RowForm = forms.ModelForm[Any]
    RowSet = BaseInlineFormSet[Any, Any, Any]
else:
    from django.forms.models import BaseInlineFormSet as RowSet
    from unfold.admin import ModelAdmin, TabularInline

    RowForm = forms.ModelForm

__all__ = [
    "Acting",
    "ModelAdmin",
    "ReadOnlyAdmin",
    "RefusableForm",
    "RowForm",
    "RowSet",
    "SentinelAdmin",
    "TabularInline",
    "acting",
    "instant",
    "labelled",
    "refused",
    "when",
]

Shown = TypeVar("Shown", bound=Callable[..., str])
Act = Callable[[Any, HttpRequest, Any], HttpResponse | None]
_MAX_TOLD = 20
#: Kinds of label, by the words of our statuses.
COLOURS = {
    "ACTIVE": "success",
    "SUCCESS": "success",
    "alive": "success",
    "passed": "success",
    "enabled": "success",
    "RUNNING": "info",
    "STARTING": "info",
    "READY": "info",
    "PAUSED": "warning",
    "WAITING": "warning",
    "KILLED": "warning",
    "EXPIRED": "warning",
    "FAILED": "danger",
    "LOST": "danger",
    "blocking": "danger",
    "not alive": "danger",
    "disabled": "danger",
    "TRASHED": "danger",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """Whoever is logged in, as services want it."""

    app: App
    user: str
    now: datetime

    @property
    def words(self) -> dict[str, Any]:
        return {"app": self.app, "user": self.user, "now": self.now}

    @property
    def asking(self) -> dict[str, Any]:
        """Return the same for services whose subject may be an app itself."""
        return {"by": self.app, "user": self.user, "now": self.now}


@contextmanager
def acting(request: HttpRequest) -> Iterator[Acting]:
    """Act for the person behind ``request``; the audit log gets name and address."""
    with audit.calling_from(address_of(request)):
        yield Acting(app=operator(), user=request.user.get_username(), now=clock.now())


def when(at: datetime | None) -> str:
    """Return an instant as every page shows it; None is a dash."""
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def labelled(description: str) -> Callable[[Shown], Shown]:
    """Show a column as a coloured label, as the theme's own (untyped) decorator does."""

    def decorate(function: Shown) -> Shown:
        column = cast(Any, function)
        column.short_description, column.label = description, COLOURS
        return function

    return decorate


def instant(name: str) -> Callable[[Any], str]:
    """Return a column that shows the instant of a field as every page does."""

    @admin_display(description=name.removesuffix("_at").replace("_", " "), ordering=name)
    def column(row: Any) -> str:
        return when(getattr(row, name))

    return column


class RefusableForm(RowForm):
    """A form that shows what a service said to it, each problem at its field."""

    #: Set on the class that is made for one request.
    problems: ClassVar[Iterable[str]] = ()

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        for problem in self.problems:
            self.add_error(self.field_of(problem), problem)
        return data

    def field_of(self, problem: str) -> str | None:
        """Return the field that a problem is about; None: the form as a whole."""
        name = problem.partition(":")[0]
        return name if name in self.fields else None


def refused(request: HttpRequest) -> list[str]:
    """Return what the services said to this very request, if it is shown again for that."""
    refusal = getattr(request, "refusal", None)
    return [] if refusal is None else problems_of(refusal)


class SentinelAdmin(ModelAdmin):
    """A page whose rows are changed through services alone; nothing is ever deleted here."""

    form = RefusableForm

    list_per_page = 50
    show_full_result_count = False
    #: What is acted on is what was looked at: the rows of one page.
    list_disable_select_all = True
    #: Verbs of the detail page: ``<id>/act/`` with the verb in the POST.
    verbs: dict[str, Act] = {}

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Save through services; what they refuse is rolled back, and the form shows why."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except SentinelError as refusal:
            cast(Any, request).refusal = refusal
            return super().changeform_view(request, *args, **kwargs)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form_class: Any = super().get_form(request, *args, **kwargs)
        form_class.problems = refused(request)
        return form_class

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may act on rows, which is the permission to change them."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def get_urls(self) -> list[URLPattern]:
        if not self.verbs:
            return super().get_urls()
        name = f"{self.opts.app_label}_{self.opts.model_name}_act"
        act = path("<int:row_id>/act/", self.admin_site.admin_view(self.act_view), name=name)
        return [act, *super().get_urls()]

    def act_view(self, request: HttpRequest, row_id: int) -> HttpResponse:
        """POST …/<id>/act/: one verb on one row, then back to its page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_act_permission(request):
            raise PermissionDenied
        row = self.get_object(request, str(row_id))
        verb = self.verbs.get(request.POST.get("verb", ""))
        if row is None or verb is None:
            self.message_user(request, "There is no such thing to do.", messages.ERROR)
            return HttpResponseRedirect("../../")
        try:
            answer = verb(self, request, row)
        except SentinelError as refusal:
            self.tell_refusal(request, refusal)
            answer = None
        return answer or HttpResponseRedirect("../change/")

    def tell_refusal(self, request: HttpRequest, refusal: SentinelError) -> None:
        for problem in problems_of(refusal):
            self.message_user(request, problem, messages.ERROR)

    def tell_each(self, request: HttpRequest, answers: Iterable[tuple[bool, str]]) -> None:
        """Tell what became of each row; of many the first."""
        answers = list(answers)
        for is_done, text in answers[:_MAX_TOLD]:
            self.message_user(request, text, messages.SUCCESS if is_done else messages.WARNING)
        if len(answers) > _MAX_TOLD:
            left = answers[_MAX_TOLD:]
            done = sum(is_done for is_done, _ in left)
            text = f"… and {len(left)} more: {done} done, {len(left) - done} refused."
            self.message_user(request, text, messages.INFO)


class ReadOnlyAdmin(SentinelAdmin):
    """A window: rows are looked at, by whoever may view them."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def problems_of(refusal: SentinelError) -> list[str]:
    """Return the sentences of a refusal."""
    return list(refusal.problems) if isinstance(refusal, InvalidParameters) else [str(refusal)]
