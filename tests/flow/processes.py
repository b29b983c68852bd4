"""Sentinel as its users start it, ``manage.py up``, with real beat, worker, web and broker."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from sentinel_project import clock
from tests.flow.executions import eventually

ROOT = Path(__file__).resolve().parents[2]
READY = "Ctrl-C stops everything."
SUCCESS, FAILED, KILLED = 4, 5, 6


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """A directory of its own in which ``up`` can be started, asked and stopped."""

    def __init__(self, run_dir: Path, **extra: str) -> None:
        self.run_dir = run_dir
        own = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL")}
        self.env = own | {
            "DJANGO_SETTINGS_MODULE": "sentinel_project.settings",
            "SENTINEL_RUN_DIR": str(run_dir),
            "SENTINEL_WEB_PORT": str(free_port()),
            "SENTINEL_FLOWER_PORT": str(free_port()),
            "SENTINEL_WORKER_CONCURRENCY": "2",
            **extra,
        }
        self.outputs = 0

    @property
    def credentials(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run_dir / "credentials.json").read_text())
        return found

    @property
    def output(self) -> str:
        return self._output_path.read_text()

    @property
    def _output_path(self) -> Path:
        return self.run_dir.parent / f"{self.run_dir.name}.out{self.outputs}"

    def start(self, **extra: str) -> subprocess.Popen[bytes]:
        """Start ``up`` without waiting for anything."""
        self.outputs += 1
        with self._output_path.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self.env | extra,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start ``up``, wait until it says that it is ready, and stop it afterwards."""
        process = self.start()
        try:
            assert eventually(
                lambda: READY in self.output or process.poll() is not None, within=90
            ), self.output
            assert process.poll() is None, self.output
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(60)

    def members(self) -> list[psutil.Process]:
        """Return every living process that was started for this directory."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def part(self, *words: str) -> psutil.Process:
        """Return the part whose command line has ``words``: the child of ``up`` itself."""
        return self._child(lambda line: set(words) <= set(line))

    def broker(self) -> psutil.Process:
        """Return the embedded broker, which writes its socket over its command line."""
        return self._child(lambda line: "broker.sock" in " ".join(line))

    def _child(self, is_meant: Callable[[list[str]], bool]) -> psutil.Process:
        supervisor = int((self.run_dir / "up.lock").read_text())
        for child in psutil.Process(supervisor).children():
            with suppress(psutil.NoSuchProcess):  # ended, and not waited for yet
                if is_meant(child.cmdline()):
                    return child
        raise LookupError("no such part")

    def answers(self) -> bool:
        """Tell whether the web process answers."""
        try:
            with urllib.request.urlopen(f"{self.credentials['url']}/healthz", timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def _is_ours(self, process: psutil.Process) -> bool:
        """Tell by the environment, or by the title that the broker writes over its own."""
        try:
            environ, title = process.environ(), " ".join(process.cmdline())
            is_dead = process.status() == psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
        is_named = environ.get("SENTINEL_RUN_DIR") == str(self.run_dir)
        return not is_dead and (is_named or f"{self.run_dir}/" in title)

    def manage(self, *words: str) -> tuple[str, int]:
        """Run a command of ``manage.py`` here; return what it prints and its exit code."""
        command = [sys.executable, "manage.py", *words]
        ended = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, timeout=120)
        return ended.stdout.decode(), ended.returncode

    def call(self, path: str, **params: Any) -> dict[str, Any]:
        """Call the API as the demo's app; a refusal fails the test."""
        app = self.credentials["app"]
        stamp = str(int(clock.now().timestamp() * 1000))
        digest = hashlib.md5((app["key"] + stamp).encode()).hexdigest()
        fields = {
            "user": "tester",
            "appName": app["name"],
            "appToken": stamp + digest,
            "parameters": json.dumps(params),
        }
        body = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(self.credentials["url"] + path, body, timeout=30) as reply:
            envelope = json.load(reply)
        assert envelope["code"] == 0, envelope
        data: dict[str, Any] = json.loads(envelope["data"])
        return data

    def submit(self, content: str, **params: Any) -> int:
        """Submit a shell job, a one-off unless it has a schedule; return its jobId."""
        params.setdefault("isTemp", "scheduleExpressionList" not in params)
        name = f"job {secrets.token_hex(6)}"
        reply = self.call(
            "/api/job/submit", jobName=name, jobType="shell", content=content, **params
        )
        return int(reply["jobId"])

    def tasks(self, job_id: int) -> list[Mapping[str, Any]]:
        """Return the job's tasks, the latest due first."""
        reply = self.call("/api/job/query/taskIds", jobId=job_id, limit=1000)
        return list(reply["tasks"])

    def status(self, job_id: int) -> int:
        return int(self.call("/api/job/query/status", jobId=job_id)["status"])

    def ends(self, job_id: int, status: int, within: float = 30) -> bool:
        return eventually(lambda: self.status(job_id) == status, within=within)
