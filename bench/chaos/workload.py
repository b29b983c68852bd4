"""What runs meanwhile: jobs of many kinds, each an independent witness of its own runs."""

from __future__ import annotations

import itertools
import json
import random
import threading
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from chaos import place, world
from jobs import app_services
from jobs.rules.enums import AppKind
from sentinel_project import clock
from sentinel_project.wire import token

#: Writes ``task attempt fence word uptime``; a line is one append, so witnesses do not mix.
_SAY = f"""
say() {{ read -r up _ < /proc/uptime
  echo "$SENTINEL_TASK_ID $SENTINEL_ATTEMPT_ID $SENTINEL_FENCE $1 $up" >> {place.WITNESS}; }}
work() {{ for i in $(seq $1); do sleep 0.2; say tick; done; }}
say start
"""
LINE = "æøå 🚀 line"


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of job; ``lines`` is how many it prints when it succeeds."""

    content: str
    words: dict[str, Any] = field(default_factory=dict)
    lines: int = 0


_TRIES = {"failedAttempts": 4, "failedInterval": 1}
KINDS = {
    "short": Kind(_SAY + "work 2; say end", _TRIES),
    "long": Kind(_SAY + "work 50; say end", _TRIES),
    "once failing": Kind(
        _SAY + 'work 2; say end; [ "$SENTINEL_ATTEMPT_ID" -gt 1 ] || exit 3', _TRIES
    ),
    "failing": Kind(_SAY + "say end; exit 4", {"failedAttempts": 1, "failedInterval": 1}),
    "deaf": Kind(_SAY + "trap '' TERM; work 80; say end", _TRIES),
    "daemon": Kind(_SAY + "(setsid sleep 600 >/dev/null 2>&1 &); work 3; say end", _TRIES),
    "printing": Kind(
        _SAY + f"for i in $(seq 3000); do echo {LINE} $i; done; say end", _TRIES, lines=3000
    ),
    # Its next try, after a worker was lost, comes when it is too late for a first one.
    "expiring": Kind(_SAY + "work 40; say end", {**_TRIES, "expiredTime": 4}),
    "tiny": Kind(_SAY + "say end", _TRIES),
    "untried": Kind(_SAY + "work 3; say end", {"failedAttempts": 0}),
}


class Refused(Exception):
    """The API says that it will not."""


@dataclass(slots=True)
class Accepted:
    """What the API has promised."""

    kinds: dict[int, str] = field(default_factory=dict)
    killed: set[int] = field(default_factory=set)
    upstreams: dict[int, list[int]] = field(default_factory=dict)


class Client:
    """A business system that repeats a call until it has an answer, with the same requestId."""

    def __init__(self, chance: random.Random) -> None:
        self.accepted = Accepted()
        self._chance = chance
        self._numbers = itertools.count(1)
        self._app, self._key = app_services.register_app(
            name="chaos", kind=AppKind.ADMIN, now=clock.now()
        )

    def submit(self, kind: str, **more: Any) -> int:
        number = next(self._numbers)
        one_off = {"isTemp": "scheduleExpressionList" not in more and "dependencyList" not in more}
        words = {**KINDS[kind].words, **one_off, **more}
        words |= {"jobName": f"{kind} {number}", "jobType": "shell"}
        reply = self._insist("/api/job/submit", content=KINDS[kind].content, **words)
        job_id = int(reply["jobId"])
        self.accepted.kinds[job_id] = kind
        return job_id

    def submit_chain(self, length: int) -> None:
        """A scheduled job and dependents of dependents, each run once per slot of the first."""
        cron = [{"operatorMode": 1, "expression": "*/5 * * * * *"}]
        upstream = self.submit("short", scheduleExpressionList=cron)
        for _ in range(length):
            upstream = self._submit_dependent([upstream])

    def submit_fan(self, width: int) -> None:
        """A scheduled job, many that wait for it, and one that waits for them all."""
        cron = [{"operatorMode": 1, "expression": "*/15 * * * * *"}]
        upstream = self.submit("tiny", scheduleExpressionList=cron)
        self._submit_dependent([self._submit_dependent([upstream]) for _ in range(width)])

    def _submit_dependent(self, upstreams: list[int]) -> int:
        """Submit a job that runs once for each slot of all that it waits for."""
        words = {"operatorMode": 1, "offsetStrategy": ""}
        entries = [{**words, "preJobId": upstream} for upstream in upstreams]
        job_id = self.submit("tiny", dependencyList=entries)
        self.accepted.upstreams[job_id] = upstreams
        return job_id

    def submit_burst(self, count: int) -> None:
        """Submit that many jobs at once, as far as web takes them."""
        with ThreadPoolExecutor(20) as pool:
            for done in [pool.submit(self.submit, "tiny") for _ in range(count)]:
                done.result()

    def kill_some(self, share: float) -> None:
        """Kill tasks at whatever moment of their lives they are."""
        for job_id in list(self.accepted.kinds):
            if self._chance.random() < share and job_id not in self.accepted.upstreams:
                reply = self._insist("/api/job/query/taskIds", jobId=job_id, limit=1)
                for task in reply["tasks"]:
                    self._kill(task["taskId"])

    def _kill(self, task_id: int) -> None:
        with suppress(Refused):  # it has ended
            self._insist("/api/task/kill", taskIds=[task_id])
            self.accepted.killed.add(task_id)

    def stop_schedules(self) -> None:
        """Disable what fires; its dependents' runs go on to their end."""
        waited_for = {up for ups in self.accepted.upstreams.values() for up in ups}
        for job_id in waited_for - self.accepted.upstreams.keys():
            self._insist("/api/job/status/set", jobIds=[job_id], status=2)

    def _insist(self, path: str, **params: Any) -> dict[str, Any]:
        """Call until there is an answer, so that whatever was accepted is known to be."""
        params["requestId"] = f"r{next(self._numbers)}"
        pause, deadline = threading.Event(), clock.monotonic() + 120
        while clock.monotonic() < deadline:
            reply = self._call(path, params)
            if reply is not None:
                return reply
            pause.wait(0.5)
        raise TimeoutError(f"{path}: no answer")

    def _call(self, path: str, params: dict[str, Any]) -> dict[str, Any] | None:
        """Return the data of a reply; None: nobody answered, or it was the server's own fault."""
        stamp = str(int(clock.now().timestamp() * 1000))
        fields = {
            "user": "chaos",
            "appName": "chaos",
            "appToken": f"{stamp}{token.signature(self._key, stamp)}",
            "parameters": json.dumps(params),
        }
        body = urllib.parse.urlencode(fields).encode()
        try:
            with urllib.request.urlopen(world.url() + path, body, timeout=10) as answer:
                envelope = json.load(answer)
        except (OSError, ValueError):
            return None
        if envelope["code"] == 1:
            raise Refused(f"{path}: {envelope['msg']}")
        return dict(json.loads(envelope["data"])) if envelope["code"] == 0 else None
