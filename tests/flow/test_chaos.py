"""A short chaos run on each stack: faults by seed, then nothing may be violated (section 8)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flow.processes import ROOT

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(400)]


def need(stack: str) -> None:
    """Skip where a stack's servers cannot be had; PostgreSQL and Redis are the run's own."""
    if stack != "embedded" and not list(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        pytest.skip("there is no PostgreSQL server under /usr/lib/postgresql")
    if stack == "rabbitmq":
        try:
            socket.create_connection(("127.0.0.1", 5672), timeout=2).close()
        except OSError as error:
            pytest.skip(f"there is no RabbitMQ on the loopback: {error}")


@pytest.mark.parametrize("stack", ["embedded", "rabbitmq", "redis"])
def test_faults_lose_double_and_leave_nothing(stack: str) -> None:
    need(stack)
    command = [sys.executable, "-m", "chaos.run", "--stack", stack, "--seed", "5"]

    done = subprocess.run(
        [*command, "--seconds", "10"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "bench"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout, done.stderr[-3000:]
    line = json.loads(done.stdout)
    assert line["violations"] == []
    assert line["attempts"] > 0
    assert line["faults"]
