"""What can go wrong with a call. The message is the server's own, or says what was met instead."""

from __future__ import annotations

from typing import Any


class ClientError(Exception):
    """A call did not do what it was to do."""


class Refusal(ClientError):
    """``code`` 1: the caller can mend it. ``data`` says what was done all the same, if anything."""

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.data = data


class ServerBroken(ClientError):
    """``code`` 9999: the server broke, and its log knows why."""


class Unreachable(ClientError):
    """No answer, also after the repetitions; what was asked for may have been done."""


class Unreadable(ClientError):
    """An answer that is not in the form of the wire: what was asked for may have been done."""


class WrongAddress(ClientError):
    """No address that could be called; nothing was sent."""


class GaveUp(ClientError):
    """What was waited for did not come in the time given."""
