"""docker-compose.yml: complete, and wired to nothing that has a default secret."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sentinel_project.serving.command import WORKER_CLASS

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("SENTINEL_SECRET_KEY", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "FLOWER_PASSWORD")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def test_every_part_is_there(services: dict[str, Any]) -> None:
    assert set(services) == {
        *("postgres", "rabbitmq", "migrate", "web", "beat", "worker", "flower"),
    }
    assert services["beat"]["deploy"]["replicas"] == 2


def test_every_part_that_stays_has_a_health_check(services: dict[str, Any]) -> None:
    assert [n for n, s in services.items() if n != "migrate" and "healthcheck" not in s] == []


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()

    for secret in SECRETS:
        assert f"${{{secret}:?" in text
        assert f"${{{secret}:-" not in text


def test_a_worker_is_given_longer_to_stop_than_it_needs(services: dict[str, Any]) -> None:
    """Drain, then the grace of a kill (X-21)."""
    assert services["worker"]["stop_grace_period"] == "90s"
    assert services["worker"]["environment"]["SENTINEL_DRAIN"] == "${SENTINEL_DRAIN:-30}"


def test_the_image_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()

    assert "USER sentinel" in lines
    assert any("--require-hashes" in line for line in lines)


def test_the_web_process_is_started_with_our_worker_everywhere() -> None:
    """gunicorn's own threaded worker lets a few slow clients keep everybody out."""
    started = [ROOT / "Dockerfile", ROOT / "docs" / "operations.md"]

    assert [path.name for path in started if WORKER_CLASS not in path.read_text()] == []
    assert [path.name for path in started if "gthread" in path.read_text()] == []


def compose() -> list[str] | None:
    """Return the command of Docker Compose, whichever of its two forms is installed."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            return command
    return None


@pytest.mark.skipif(compose() is None, reason="needs docker compose")
def test_compose_accepts_the_file_only_with_its_secrets() -> None:
    command = [*(compose() or ()), "-f", str(ROOT / "docker-compose.yml"), "config", "--quiet"]
    bare = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}

    def run(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    assert "set SENTINEL_SECRET_KEY" in run(bare).stderr
    assert run(bare | dict.fromkeys(SECRETS, "x")).returncode == 0
