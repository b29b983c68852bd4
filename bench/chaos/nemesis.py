"""Faults, chosen by seed: each is done to the running installation and undone again."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import psycopg2

from chaos import place, world
from chaos.workload import Client
from chaos.world import BEATS, POOLS, World
from sentinel_project import clock

_FULL_DISK = "work directories' disk full for 5 s"
_NO_FORK_SERVER = "kill -9 of a fork server"
#: What an attempt may fail for under a fault.
_EXCUSES = {
    _FULL_DISK: {"BROKEN", "SPAWN_FAILED"},
    _NO_FORK_SERVER: {"GUARD_LOST", "SPAWN_FAILED"},
}
_KILL, _STOP, _GO = signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT


class Nemesis:
    """Does one fault after the other until its time is over."""

    def __init__(self, running: World, client: Client, chance: random.Random) -> None:
        self._world = running
        self._client = client
        self._chance = chance
        self._pause = threading.Event()
        self.done: Counter[str] = Counter()

    def rage(self, seconds: float) -> None:
        """Do faults for that long; the last one is undone before it returns."""
        deadline = clock.monotonic() + seconds
        words = place.OPTIONS.only.split(",")
        faults = {name: do for name, do in self._faults().items() if any(w in name for w in words)}
        while clock.monotonic() < deadline:
            name = self._chance.choice(sorted(faults))
            with suppress(psycopg2.Error):  # the server was just hit by the fault before
                faults[name]()
            self.done[name] += 1
            self._rest(self._chance.uniform(0.5, 3))

    @property
    def excused(self) -> set[str]:
        """Return for which reasons of ours an attempt may have failed."""
        return {reason for name in self.done for reason in _EXCUSES.get(name, ())}

    def _faults(self) -> dict[str, Callable[[], None]]:
        faults: dict[str, Callable[[], None]] = {
            "kill -9 of a worker": lambda: self._kill(self._worker()),
            "kill -9 of a pool's child": self._kill_child,
            _NO_FORK_SERVER: self._kill_fork_server,
            "kill -9 of a beat": lambda: self._kill(self._chance.choice(BEATS)),
            "kill -9 of every beat": lambda: self._kill(*BEATS),
            "kill -9 of web": lambda: self._kill("web"),
            "kill -9 of everything of ours": lambda: self._kill(*POOLS, *BEATS, "web"),
            "worker stopped for L/2": lambda: self._freeze(self._worker(), place.LEASE / 2),
            "worker stopped for 2 L": lambda: self._freeze(self._worker(), place.LEASE * 2),
            "worker told to drain": lambda: self._tell(signal.SIGTERM),
            "worker told to hand back": lambda: self._tell(signal.SIGQUIT),
            "queue purged": self._purge,
            "burst of 200 submissions": lambda: self._client.submit_burst(200),
        }
        if place.HAS_SMALL_DISK:
            faults[_FULL_DISK] = self._fill_disk
        if place.CLOCKS is not None:
            faults["clock of a beat an hour wrong for 10 s"] = lambda: self._step(BEATS)
            faults["clock of a worker an hour wrong for 10 s"] = lambda: self._step(sorted(POOLS))
        servers = self._postgres_faults() if place.HAS_POSTGRES else {}
        return faults | self._broker_faults() | servers

    def _broker_faults(self) -> dict[str, Callable[[], None]]:
        if place.PROXY is not None:
            return {"broker cut": self._cut_broker, "broker hangs": self._hang_broker}
        return {
            "kill -9 of the broker": lambda: self._kill("broker"),
            "broker stopped for 8 s": lambda: self._freeze("broker", 8),
        }

    def _postgres_faults(self) -> dict[str, Callable[[], None]]:
        return {
            "database's connections cut": world.cut_connections,
            "database's connections taken for 5 s": self._take_connections,
            "database restarted at once": lambda: self._tell_postgres(signal.SIGQUIT),
            "kill -9 of the database": lambda: self._kill("postgres"),
            "database stopped for 5 s": lambda: self._freeze("postgres", 5),
            "database stopped for 2 L": lambda: self._freeze("postgres", place.LEASE * 2),
        }

    def _worker(self) -> str:
        return self._chance.choice(sorted(POOLS))

    def _kill(self, *names: str) -> None:
        for name in names:
            self._world.signal(self._world.pids(name)[:1], _KILL)

    def _kill_child(self) -> None:
        children = self._world.pids("w1")[1:]
        if children:
            self._world.signal([self._chance.choice(children)], _KILL)

    def _kill_fork_server(self) -> None:
        servers = self._world.fork_servers()
        if servers:
            self._world.signal([self._chance.choice(servers)], _KILL)

    def _freeze(self, name: str, seconds: float) -> None:
        pids = self._world.pids(name)
        self._world.signal(pids, _STOP)
        self._rest(seconds)
        self._world.signal(pids, _GO)

    def _tell(self, number: signal.Signals) -> None:
        self._world.signal(self._world.pids(self._worker())[:1], number)

    def _tell_postgres(self, number: signal.Signals) -> None:
        self._world.signal(self._world.pids("postgres")[:1], number)

    def _purge(self) -> None:
        with suppress(OSError):  # the broker was just hit
            world.purge_queue()

    def _take_connections(self) -> None:
        taken = world.take_connections()
        self._rest(5)
        for one in taken:
            one.close()

    def _fill_disk(self) -> None:
        world.fill_disk()
        self._rest(5)
        world.free_disk()

    def _step(self, names: Sequence[str]) -> None:
        """Put the clock of a part wrong, while it runs or just before it starts anew."""
        name = self._chance.choice(names)
        world.step_clock(name, self._chance.choice([-3600, 3600]))
        if self._chance.random() < 0.5:
            self._kill(name)
        self._rest(10)
        world.step_clock(name, 0)

    def _cut_broker(self) -> None:
        assert place.PROXY is not None
        place.PROXY.cut()
        self._rest(5)
        place.PROXY.heal()

    def _hang_broker(self) -> None:
        assert place.PROXY is not None
        place.PROXY.freeze()
        self._rest(10)
        place.PROXY.heal()

    def _rest(self, seconds: float) -> None:
        self._pause.wait(seconds)
