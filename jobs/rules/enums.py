"""The words of a job definition; integers are the wire's and the database's (1-domain.md 2)."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class AppKind(StrEnum):
    """What an app may touch: its own things, or everything (D-80)."""

    NORMAL = "NORMAL"
    ADMIN = "ADMIN"


class TokenForms(StrEnum):
    """Which forms of ``appToken`` an app may use (W-11)."""

    V1 = "v1"
    V2 = "v2"
    BOTH = "both"

    def accepts(self, *, is_strong: bool) -> bool:
        return self is TokenForms.BOTH or is_strong is (self is TokenForms.V2)


class Switch(IntEnum):
    """Whether an app or a worker group takes part."""

    ENABLED = 1
    DISABLED = 2


class JobStatus(IntEnum):
    """EXPIRED is derived from the active window and never stored (D-1)."""

    ACTIVE = 1
    DISABLED = 2
    EXPIRED = 3
    TRASHED = 4
    PAUSED = 5


class ContentType(IntEnum):
    TEXT = 1
    SCRIPT = 2
    JAR = 3


class CredentialKind(StrEnum):
    """CONNECTION: the address of a database or a service. SECRET: any text."""

    CONNECTION = "CONNECTION"
    SECRET = "SECRET"  # noqa: S105 - a kind, not a value


class ExpressionKind(IntEnum):
    CRON = 1
    RATE = 2
    DELAY = 3
    ISO8601 = 4


class CommonStrategy(IntEnum):
    """Which of the expected upstream runs must be done (D-34)."""

    ALL = 1
    LASTONE = 2
    ANYONE = 3


class Edit(IntEnum):
    """``operatorMode`` of an entry in a change set."""

    ADD = 1
    EDIT = 2
    DELETE = 3


class MisfirePolicy(StrEnum):
    """Which missed slots are opened after an outage (D-23)."""

    ALL = "all"
    LAST = "last"
    SKIP = "skip"


class GapReason(StrEnum):
    """Why a slot has no task (D-23)."""

    SKIPPED = "SKIPPED"
    EDITED = "EDITED"
    NO_UPSTREAM_YET = "NO_UPSTREAM_YET"
    EXPIRED = "EXPIRED"
    CAPPED = "CAPPED"

    @property
    def is_loss(self) -> bool:
        """A loss stays expected and blocks dependents until an operator fills it."""
        return self in {GapReason.EXPIRED, GapReason.CAPPED}
