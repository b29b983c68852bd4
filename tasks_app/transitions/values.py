"""What the verbs take: an opening, an ending."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.models import Job
from sentinel_project.wire import jsontext
from tasks_app.rules.states import AttemptStatus, TaskKind, TaskStatus

#: As long as its column; and more text than anybody reads.
_REASON_MAX, _TEXT_MAX = 32, 10_000
#: What the column of exit codes takes.
_CODES = range(-(2**31), 2**31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A task to open; READY if nothing is missing, REMOVED where a skip mark says so."""

    job: Job
    due_at: datetime
    kind: TaskKind = TaskKind.SCHEDULE
    status: TaskStatus = TaskStatus.WAITING
    expires_at: datetime | None = None
    expression_id: int | None = None
    #: The expression's text, as it is now.
    expression: str = ""
    named_by_id: int | None = None
    batch_id: int | None = None
    is_asked: bool = False
    user: str = ""
    reason: str = ""
    reason_text: str = ""
    extra: dict[str, Any] | None = field(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended: what ``settle`` and ``rescue`` write on it.

    ``is_final``: a failure that no retry could mend, so none is spent on it. What it says can be
    stored: an executor may hand on what a stranger answered, and no end is lost over a character or
    an exit code of more than 32 bits, which only the text tells.
    """

    status: AttemptStatus
    exit_code: int | None = None
    reason: str = ""
    text: str = ""
    is_final: bool = False

    def __post_init__(self) -> None:
        if self.exit_code is not None and self.exit_code not in _CODES:
            told = f"Its exit code has more than 32 bits: {self.exit_code:#x}. {self.text}"
            object.__setattr__(self, "text", told)
            object.__setattr__(self, "exit_code", None)
        object.__setattr__(self, "reason", jsontext.printable(self.reason)[:_REASON_MAX])
        object.__setattr__(self, "text", jsontext.printable(self.text)[:_TEXT_MAX])
