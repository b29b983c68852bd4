"""Ends applications of a YARN cluster: by its ResourceManager's REST, or by a command (X-21).

Told is not gone: an application counts as ended when the cluster says that it is over, or that it
does not know it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import httpx

from sentinel_project.clock import monotonic
from tasks_app.executors.base import Ending, Execution, Stop
from tasks_app.executors.cluster import client_environment
from tasks_app.executors.process import run_command
from tasks_app.rules.limits import NO_LIMITS

ADDRESSES = "SENTINEL_YARN_RM"
COMMAND = "SENTINEL_YARN_KILL"
_COMMAND = "yarn application -kill {id}"
#: So long the cluster has, for all applications of a run together.
_SECONDS = 30.0
_ANSWER_SECONDS = 5.0
_POLL_SECONDS = 0.5
_OVER = {"FINISHED", "FAILED", "KILLED"}
#: An application that began so long before its run is not the run's, whatever its LOG says.
_CLOCKS_DIFFER = timedelta(minutes=5)
_EVER = datetime.fromtimestamp(0, UTC)
_SHOWN = 300
#: What the command says of an application that the cluster does not know.
_UNKNOWN = b"doesn't exist in RM"
_NOT_FOUND = "NotFoundException"
_FORBIDDEN = {401, 403}


class NotEnded(Exception):
    """It cannot be proved that the application is gone; the message says why."""


class _NoAnswer(Exception):
    """No ResourceManager answers as the active one does."""


class _Way(Protocol):
    def tagged(self, tag: str) -> Collection[str]:
        """Return the ids of what has the tag, as far as it can tell. Raises ``NotEnded``."""

    def end(self, application: str, since: datetime, deadline: float) -> str:
        """Return how it ended. Raises ``NotEnded``."""

    def close(self) -> None: ...


def is_possible() -> bool:
    """Tell whether this worker has a way to end applications at all."""
    return bool(os.environ.get(ADDRESSES)) or shutil.which(_kill_words("")[0]) is not None


def end(
    applications: Mapping[str, datetime],
    execution: Execution,
    home: Path,
    tell: Callable[[str], None],
    *,
    tag: str = "",
    is_tag_sure: bool = True,
) -> list[str]:
    """End what runs have started, of which is told when they began; return what may still run.

    Where the cluster can be asked, what has the ``tag`` is ended too. ``is_tag_sure`` False: there
    need be nothing that has it, so a cluster that does not answer leaves nothing in doubt.
    """
    if not applications and not tag:
        return []
    left: list[str] = []
    deadline = monotonic() + _SECONDS
    addresses = os.environ.get(ADDRESSES)
    way: _Way = _Rest(addresses) if addresses else _Command(execution, home)
    with closing(way):
        try:
            tagged = dict.fromkeys(way.tagged(tag) if tag else (), _EVER)
        except NotEnded as error:
            tell(f"what it started cannot be looked up: {error}")
            tagged, left = {}, [f"what is tagged {tag}"] if is_tag_sure else []
        for application, since in {**applications, **tagged}.items():
            tell(f"{application}: told to end")
            try:
                tell(f"{application}: {way.end(application, since, deadline)}")
            except NotEnded as error:
                tell(f"{application}: not proved ended: {error}")
                left.append(application)
    return left


class _Rest:
    """``PUT /ws/v1/cluster/apps/{id}/state`` at the active one of several ResourceManagers."""

    def __init__(self, addresses: str) -> None:
        self._bases = [each.strip() for each in addresses.split(",")]
        self._client = httpx.Client(timeout=_ANSWER_SECONDS, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def tagged(self, tag: str) -> Collection[str]:
        try:
            said = self._asked("GET", f"/ws/v1/cluster/apps?applicationTags={tag}") or {}
        except _NoAnswer as error:
            raise NotEnded(str(error)) from None
        found = (said.get("apps") or {}).get("app") or ()
        return [str(app["id"]) for app in found if app.get("state") not in _OVER]

    def end(self, application: str, since: datetime, deadline: float) -> str:
        path, why = f"/ws/v1/cluster/apps/{application}", "no time was left"
        while monotonic() < deadline:
            try:
                if outcome := _outcome(self._asked("GET", path), since):
                    return outcome
                self._asked("PUT", f"{path}/state", {"state": "KILLED"})
                if outcome := _outcome(self._asked("GET", path), since):
                    return outcome
                why = "it was told, and still runs"
            except _NoAnswer as error:
                why = str(error)
            threading.Event().wait(min(_POLL_SECONDS, max(0.0, deadline - monotonic())))
        raise NotEnded(why)

    def _asked(
        self, method: str, path: str, body: Mapping[str, str] | None = None
    ) -> Mapping[str, Any] | None:
        """Return what the active ResourceManager says; None: it does not know it."""
        why = []
        for base in self._bases:
            try:
                return self._said(method, base, path, body)
            except (_NoAnswer, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                why.append(f"{_host(base)}: {str(error) or type(error).__name__}")
        raise _NoAnswer("; ".join(why))

    def _said(
        self, method: str, base: str, path: str, body: Mapping[str, str] | None
    ) -> Mapping[str, Any] | None:
        parts = urlsplit(base)
        port = f":{parts.port}" if parts.port else ""
        user = {"user.name": unquote(parts.username)} if parts.username else {}
        url = httpx.URL(f"{parts.scheme}://{parts.hostname}{port}{path}").copy_merge_params(user)
        response = self._client.request(method, url, json=body)
        if response.status_code == httpx.codes.NOT_FOUND and _NOT_FOUND in response.text:
            return None
        if not response.is_success:  # a redirection comes from one that is not the active one
            why = f"{response.status_code} {' '.join(response.text.split())[:_SHOWN]}"
            raise NotEnded(why) if response.status_code in _FORBIDDEN else _NoAnswer(why)
        said = response.json()
        if not isinstance(said, dict):
            raise _NoAnswer("it does not answer as a ResourceManager does")
        return said


def _outcome(said: Mapping[str, Any] | None, since: datetime) -> str | None:
    """Return what became of an application, or None while it runs."""
    if said is None:
        return "unknown to the cluster"
    app = said.get("app", {})
    if app.get("state") in _OVER:
        return f"{app['state']}, final status {app.get('finalStatus', 'unknown')}"
    started = app.get("startedTime") or 0
    if 0 < started < (since - _CLOCKS_DIFFER).timestamp() * 1000:
        at = datetime.fromtimestamp(started / 1000, UTC)
        return f"left alone, for it has run since {at:%Y-%m-%d %H:%M} UTC, before this run"
    return None


def _host(base: str) -> str:
    return base.rpartition("@")[2]


class _Command:
    """A client such as ``yarn application -kill {id}``, that returns when it is done."""

    def __init__(self, execution: Execution, home: Path) -> None:
        self._execution = replace(
            execution, extra={}, limits=NO_LIMITS, unattended=None, kill_grace=timedelta(seconds=1)
        )
        self._home = home

    def close(self) -> None:
        """Each command has ended by itself."""

    def tagged(self, tag: str) -> Collection[str]:
        """The command knows applications by their ids alone."""
        return ()

    def end(self, application: str, since: datetime, deadline: float) -> str:
        words = _kill_words(application)
        if shutil.which(words[0]) is None:
            raise NotEnded(f"there is no program {words[0]}, see {COMMAND} and {ADDRESSES}")
        if (left := deadline - monotonic()) <= 0:
            raise NotEnded("no time was left")
        said = _Said()
        execution = replace(self._execution, timeout=timedelta(seconds=left))
        env = client_environment(execution, self._home)
        outcome = run_command(execution, words, said, Stop(), env=env, cwd=self._home)
        if outcome.ending is Ending.SUCCESS or said.tells(_UNKNOWN):
            return said.last_line() or "ended"
        raise NotEnded(f"{outcome.message} {said.last_line()}")


class _Said:
    """An output that keeps the end of what a command says."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said = b""

    def result(self, data: bytes) -> None:
        self.log(data)

    def log(self, data: bytes) -> None:
        with self._lock:
            self._said = (self._said + data)[-4 * _SHOWN :]

    def tells(self, words: bytes) -> bool:
        return words in self._said

    def last_line(self) -> str:
        lines = self._said.decode(errors="replace").splitlines()
        return next((line.strip()[:_SHOWN] for line in reversed(lines) if line.strip()), "")


def _kill_words(application: str) -> list[str]:
    words = shlex.split(os.environ.get(COMMAND) or _COMMAND)
    return [word.replace("{id}", application) for word in words]
