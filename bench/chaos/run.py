"""One run: load and faults for a while, then peace, then the checker; a line of JSON at the end."""

from __future__ import annotations

import json
import random
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, connection

from chaos import place, processes, world
from chaos.checker import FINAL, History, check, read_witness
from chaos.nemesis import Nemesis
from chaos.recorded import run_of
from chaos.workload import KINDS, LINE, Client
from logs_app import store
from logs_app.models import StreamKind
from sentinel_project import clock
from tasks_app.models import Attempt, Event, Task, Worker
from tasks_app.rules.states import Reason, TaskStatus
from tasks_app.verify import verify

#: L + grace + warm-up, the longest pause of a ring, a queue of long jobs, and a loaded machine.
_PEACE_WITHIN = 240


class Load:
    """A thread that submits and kills, whatever happens, until it is told to stop."""

    def __init__(self, client: Client, chance: random.Random) -> None:
        self.error: Exception | None = None
        self.seen_success: set[int] = set()
        self._client = client
        self._chance = chance
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="load", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        self._is_over.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        try:
            self._client.submit_chain(2)
            self._client.submit_fan(8)
            while not self._is_over.wait(self._chance.uniform(0.1, 0.6)):
                self._client.submit(self._chance.choice([*sorted(KINDS), "long", "long"]))
                self._client.kill_some(0.005)
                self._note()
        except Exception as error:  # raised again by ``finish``
            self.error = error
        finally:
            connection.close()

    def _note(self) -> None:
        try:
            rows = Task.objects.filter(status=TaskStatus.SUCCESS.value)
            self.seen_success |= set(rows.values_list("pk", flat=True))
        except DatabaseError:
            connection.close()


def is_quiet() -> bool:
    """Tell whether nothing runs, waits or is to be carried on."""
    busy = Task.objects.exclude(status__in=FINAL).exclude(reason=Reason.UPSTREAM_FAILED)
    return not busy.exists() and not Event.objects.filter(processed_at=None).exists()


def main() -> int:
    running = world.World()
    try:
        running.start()
        line = _line(running)
    finally:
        running.stop()
    line["violations"] += [f"I8 a process is left: {words}" for words in processes.survivors()]
    line["ok"] = not line["violations"]
    print(json.dumps(line), flush=True)
    return int(not line["ok"])


def _line(running: world.World) -> dict[str, Any]:
    chance = random.Random(place.OPTIONS.seed)
    client = Client(random.Random(place.OPTIONS.seed + 1))
    load = Load(client, random.Random(place.OPTIONS.seed + 2))
    nemesis = Nemesis(running, client, chance)
    began = clock.monotonic()
    nemesis.rage(place.OPTIONS.seconds)
    load.finish()
    running.wait(world.is_web_up, "web after the faults", 60)
    client.stop_schedules()
    at_peace = clock.monotonic()
    with suppress(TimeoutError):  # then the checker says what is left
        running.wait(is_quiet, "peace", _PEACE_WITHIN)
    findings = verify(now=clock.now())
    violations = _check(client, load, running, nemesis)
    violations += [f"I1 {len(found)} {kind}" for kind, found in _listed(findings) if found]
    attempts = Attempt.objects.values_list("status", "reason")
    return {
        "seed": place.OPTIONS.seed,
        "stack": place.OPTIONS.stack,
        "violations": violations,
        "faults": dict(nemesis.done),
        "jobs": len(client.accepted.kinds),
        "tasks": Task.objects.count(),
        "slots": findings.expected,
        "attempts": len(attempts),
        "lost": sum(status == "LOST" and reason != "SHUTDOWN" for status, reason in attempts),
        "handed_back": sum(reason == "SHUTDOWN" for _, reason in attempts),
        "killed": len(client.accepted.killed),
        "workers": Worker.objects.count(),
        "seconds": round(clock.monotonic() - began, 1),
        "to_peace": round(clock.monotonic() - at_peace, 1),
    }


def _listed(findings: Any) -> list[tuple[str, list[Any]]]:
    return [(kind, getattr(findings, kind)) for kind in ("missing", "duplicate", "unexplained")]


def _check(client: Client, load: Load, running: world.World, nemesis: Nemesis) -> list[str]:
    accepted = client.accepted
    printed = b"".join(f"{LINE} {n}\n".encode() for n in range(1, KINDS["printing"].lines + 1))
    waited_for = {up for ups in accepted.upstreams.values() for up in ups}
    scheduled = {*accepted.upstreams, *waited_for}
    history = History(
        accepted={job: int(job not in scheduled) for job in accepted.kinds},
        upstreams=accepted.upstreams,
        expected={job: printed for job, kind in accepted.kinds.items() if kind == "printing"},
        seen_success=load.seen_success,
        killed=accepted.killed,
        ended=running.ended,
        excused=nemesis.excused,
        booted_at=clock.wall() - timedelta(seconds=clock.since_boot()),
        now=clock.wall(),
    )
    tasks = Task.objects.select_related("job").order_by("pk")

    def output_of(attempt: Attempt) -> dict[str, Any]:
        is_printing = accepted.kinds.get(attempt.task.job_id) == "printing"
        return _output(attempt, is_printing=is_printing)

    witness = place.WITNESS.read_text() if place.WITNESS.exists() else ""
    return check(
        [run_of(task, output_of) for task in tasks],
        read_witness(witness),
        history,
    )


def _output(attempt: Attempt, *, is_printing: bool) -> dict[str, Any]:
    read = store.read_all(attempt.pk, StreamKind.RESULT)
    return {"printed": read.text.encode() if is_printing else None, "is_end": read.is_end}


if __name__ == "__main__":
    sys.exit(main())
