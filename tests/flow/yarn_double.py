"""A protocol double of YARN's ResourceManager, written for the tests, and clients that talk to it.

It is no YARN: it keeps applications in memory, and answers ``/ws/v1/cluster/apps`` as the real
one does. The clients are programs that say what ``spark-submit`` and ``yarn`` say.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from sentinel_project import clock
from tests.flow.http_servers import QuietHandler, listening

EPOCH = 1_700_000_000_000


@dataclass(slots=True)
class Double:
    """``stubborn``: so many looks an application that was told to end still runs."""

    port: int = 0
    stubborn: int = 0
    #: Status and text that every request is answered with instead.
    refuses: tuple[int, str] | None = None
    apps: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    users: set[str] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def states(self) -> list[str]:
        return [app["state"] for app in self.apps.values()]

    def add(self, name: str, *, state: str = "RUNNING", age: float = 0) -> None:
        started = clock.now().timestamp() - age
        self.apps[name] = {"id": name, "state": state, "startedTime": int(started * 1000)}
        self.apps[name]["applicationTags"] = ""

    def tagged(self, tag: str) -> list[dict[str, Any]]:
        return [app for app in self.apps.values() if tag in app["applicationTags"].split(",")]

    def look(self, name: str) -> dict[str, Any] | None:
        app = self.apps.get(name)
        if app is not None and name in self.told and app["state"] == "RUNNING":
            self.stubborn -= 1
            if self.stubborn < 0:
                app |= {"state": "KILLED", "finalStatus": "KILLED"}
        return app


@contextmanager
def serving() -> Iterator[Double]:  # noqa: C901 (one small server)
    double = Double()
    numbers = itertools.count(1)

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Submit: this path is the double's own."""
            name = f"application_{EPOCH}_{next(numbers):04}"
            double.add(name)
            size = int(self.headers["Content-Length"])
            double.apps[name]["applicationTags"] = self.rfile.read(size).decode()
            self._answer(200, {"id": name})

        def do_GET(self) -> None:
            if self._is_refused():
                return
            if "applicationTags=" in self.path:
                found = double.tagged(self.path.partition("applicationTags=")[2].partition("&")[0])
                self._answer(200, {"apps": {"app": found} if found else None})
            else:
                app = double.look(self._name())
                self._answer_app(app, {"app": app})

        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self._is_refused():
                return
            assert body == {"state": "KILLED"}
            assert self.path.partition("?")[0].endswith("/state")
            app = double.apps.get(self._name())
            if app is not None:
                double.told.append(app["id"])
            self._answer_app(app, {"state": "RUNNING"}, status=202)

        def _name(self) -> str:
            path, _, query = self.path.partition("?")
            double.users.add(query)
            return path.removesuffix("/state").rsplit("/", 1)[-1]

        def _is_refused(self) -> bool:
            if double.refuses is not None:
                self._answer(double.refuses[0], double.refuses[1])
            return double.refuses is not None

        def _answer_app(
            self, app: dict[str, Any] | None, found: dict[str, Any], status: int = 200
        ) -> None:
            if app is None:
                missing = {"exception": "NotFoundException", "message": "app is not found"}
                self._answer(404, {"RemoteException": missing})
            else:
                self._answer(status, found)

        def _answer(self, status: int, said: object) -> None:
            self.answer(status, (said if isinstance(said, str) else json.dumps(said)).encode())

    with listening(Handler) as double.port:
        yield double


# The last argument says what it does.
_CLIENT = """#!/usr/bin/env python3
import json, os, sys, time, urllib.request

def say(text):
    print(text, file=sys.stderr, flush=True)

def ask(path, data=None):
    return json.load(urllib.request.urlopen({address!r} + path, data, timeout=10))

mode = sys.argv[-1]
if "submit" in mode:
    tags = [word[16:] for word in sys.argv if word.startswith("spark.yarn.tags=")]
    name = ask("/double/submit", "".join(tags).encode())["id"]
if "quiet" in mode:
    say("WARN x: y")
elif "submit" in mode:
    say("INFO impl.YarnClientImpl: Submitted application " + name)
if "show" in mode:
    names = ("SPARK_SUBMIT_OPTS", "SPARK_LOCAL_DIRS", "HOME", "day")
    names += ("HADOOP_CLIENT_OPTS", "HADOOP_CONF_DIR")
    print(json.dumps([sys.argv[1:], {{each: os.environ.get(each) for each in names}}]))
if "big" in mode:
    for n in range(50000):
        say("0123456789" * 10)
if "raise" in mode:
    say('Exception in thread "main" org.apache.spark.SparkException: no table größer')
    say("\\tat org.example.Main.main(Main.java:1)")
    say("INFO ShutdownHookManager: Shutdown hook called")
    sys.exit(1)
while "wait" in mode and ask("/ws/v1/cluster/apps/" + name)["app"]["state"] == "RUNNING":
    time.sleep(0.05)
while "hang" in mode:
    time.sleep(1)
"""

_KILLER = """#!/usr/bin/env python3
import json, sys, urllib.error, urllib.request
assert sys.argv[1:3] == ["application", "-kill"] and len(sys.argv) == 4, sys.argv
path = {address!r} + "/ws/v1/cluster/apps/" + sys.argv[3]
put = urllib.request.Request(path + "/state", b'{{"state": "KILLED"}}', method="PUT")
try:
    urllib.request.urlopen(put, timeout=10)
    while json.load(urllib.request.urlopen(path, timeout=10))["app"]["state"] == "RUNNING":
        pass
    print("Killed application " + sys.argv[3])
except urllib.error.HTTPError as error:
    if error.code != 404:
        sys.exit("Exception: " + error.read().decode())
    print("Application with id '" + sys.argv[3] + "' doesn't exist in RM or Timeline Server.")
    sys.exit(255)
"""


def write_client(path: Path, server: Double) -> Path:
    """Write a client that submits to ``server``."""
    return _written(path, _CLIENT.format(address=server.address))


def write_killer(path: Path, server: Double) -> Path:
    """Write a program that takes ``application -kill ID``."""
    return _written(path, _KILLER.format(address=server.address))


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o700)
    return path
