"""An output that shows stars where a job prints a secret it was handed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from urllib.parse import quote, unquote, urlsplit

from tasks_app.executors.base import Fenced, Output
from tasks_app.rules.masking import Masker

_LINE = 12


class MaskedOutput:
    """Passes on to ``output`` what is no secret; ``finish`` when the run is over."""

    def __init__(self, output: Output, secrets: Collection[str]) -> None:
        self._secrets = [each.encode() for secret in secrets for each in _shapes(secret)]
        self._result = _Stream(self._secrets, output.result)
        self._log = _Stream(self._secrets, output.log)

    def result(self, data: bytes) -> None:
        self._result.write(data)

    def log(self, data: bytes) -> None:
        self._log.write(data)

    def hidden(self, text: str) -> str:
        """Return ``text`` without the secrets: what people are told is not in a stream."""
        masker = Masker(self._secrets)
        return (masker.feed(text.encode(errors="replace")) + masker.finish()).decode()

    def finish(self) -> None:
        """Show what was held back. A run that was taken over has nothing to show any more."""
        with suppress(Fenced):
            self._finish()

    def _finish(self) -> None:
        self._result.finish()
        self._log.finish()


class _Stream:
    """One stream: several threads write to it, and the order of pieces decides what is seen."""

    def __init__(self, hidden: Collection[bytes], deliver: Callable[[bytes], None]) -> None:
        self._masker = Masker(hidden)
        self._deliver = deliver
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        with self._lock:
            self._hand_on(self._masker.feed(data))

    def finish(self) -> None:
        with self._lock:
            self._hand_on(self._masker.finish())

    def _hand_on(self, data: bytes) -> None:
        if data:
            self._deliver(data)


def _shapes(secret: str) -> set[str]:
    """Return how a secret may be printed; of an address also its password alone."""
    shapes = {secret, quote(secret, safe="")}
    if "://" in secret and (password := _password(secret)):
        shapes |= {password, unquote(password), quote(unquote(password), safe="")}
    # Programs print line by line, so a key of many lines is hidden line by line; short ones, such
    # as a brace, would hide ordinary text.
    return shapes | {line for line in secret.splitlines() if len(line) >= _LINE}


def _password(address: str) -> str | None:
    try:
        return urlsplit(address).password
    except ValueError:
        return None
