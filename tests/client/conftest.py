"""A web process with an app, and the command line as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from jobs.models import App
from sentinel_project.client import Client
from sentinel_project.client.cli.main import main
from tests.builders import KEY, make_app

ROOT = Path(__file__).resolve().parents[2]

Connect = Callable[..., Client]


def _hear_interrupts() -> None:
    """Undo what tests that run in the background of a shell inherit: deaf to interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True, slots=True)
class Service:
    """A running web process and an app that calls it."""

    url: str
    app: App

    @property
    def env(self) -> dict[str, str]:
        return {
            "SENTINEL_URL": self.url,
            "SENTINEL_APP": self.app.name,
            "SENTINEL_KEY": KEY,
            "SENTINEL_USER": "ann",
        }


@dataclass(frozen=True, slots=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@dataclass
class Sentinel:
    """Runs the program as a shell does: arguments in, exit code and two streams out.

    Calling it runs it in this process, which is quick; ``process`` and ``start`` make one of its
    own. Either way it calls the web process over HTTP.
    """

    env: dict[str, str]
    home: Path
    extra: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: object, stdin: str = "") -> Done:
        given = TextIOWrapper(BytesIO(stdin.encode()), "utf-8")
        out, err = (TextIOWrapper(BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("SENTINEL")]:
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.chdir(self.home)
            for name, stream in (("stdin", given), ("stdout", out), ("stderr", err)):
                patch.setattr(sys, name, stream)
            code = main([str(word) for word in words])
        return Done(code, *(each.buffer.getvalue().decode() for each in (out, err)))

    def process(self, *words: object) -> Done:
        return self.program(*self.command(*words))

    def python(self, *words: str) -> Done:
        return self.program(sys.executable, *words)

    def program(self, *words: str) -> Done:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def start(self, *words: object) -> Iterator[subprocess.Popen[str]]:
        """Start the program beside us, and end it whatever happens."""
        with subprocess.Popen(
            self.command(*words),
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hear_interrupts,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "sentinel_project.client.cli", *map(str, words)]

    @property
    def environment(self) -> dict[str, str]:
        ours = {"HOME": str(self.home), "PYTHONPATH": str(ROOT), "SENTINEL_RUN_DIR": str(self.home)}
        plain = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**plain, **ours, **self.env, **self.extra}


@pytest.fixture
def service(committed_db: None, live_server: LiveServer) -> Service:
    return Service(live_server.url, make_app(name="mine"))


@pytest.fixture
def connect(service: Service) -> Iterator[Connect]:
    """Return clients of the service, the same but for what is given."""
    made: list[Client] = []

    def connect(**words: Any) -> Client:
        plain = {"url": service.url, "app": service.app.name, "key": KEY, "user": "ann"}
        made.append(Client(**{**plain, **words}))
        return made[-1]

    yield connect
    for client in made:
        client.calls.close()


@pytest.fixture
def sentinel(service: Service, tmp_path: Path) -> Sentinel:
    return Sentinel(service.env, tmp_path)


@pytest.fixture
def alone(tmp_path: Path) -> Sentinel:
    """The program on a machine that knows no installation."""
    return Sentinel({}, tmp_path)
