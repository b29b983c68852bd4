"""What callers can be told. The docstring of an error is its default message."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_TOLD = 100


class SentinelError(Exception):
    """The request could not be done."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.__doc__)


class InvalidParameters(SentinelError):
    """A parameter is missing or wrong.

    ``problems`` lists every problem of the request, each a sentence that names its field (W-4).
    """

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        left = len(problems) - _MAX_TOLD
        # A short request has no endless answer.
        told = [*problems[:_MAX_TOLD], *([f"and {left} more problems"] if left > 0 else [])]
        super().__init__("; ".join(told))

    @classmethod
    def of(cls, problems: Iterable[str]) -> InvalidParameters:
        return cls(*problems)


class NotFound(SentinelError):
    """No such thing, or it belongs to another app."""


class Refused(SentinelError):
    """The thing exists, but its state does not allow this."""


class Unauthenticated(SentinelError):
    """appName or appToken is wrong."""


class TooManyRequests(SentinelError):
    """Too many failed authentications from this address; wait a minute."""
