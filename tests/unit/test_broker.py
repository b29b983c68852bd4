"""Queue names, priorities and deadlines, as each broker must be told them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sentinel_project import broker

REDIS, RABBITMQ = "redis://localhost/0", "amqp://localhost//"


@pytest.mark.parametrize("url", [REDIS, "redis+socket:///run/broker.sock?virtual_host=0"])
def test_redis_serves_the_smaller_number_first_so_ours_are_turned_around(url: str) -> None:
    """D-82."""
    told = [broker.message_priority(priority, url) for priority in range(11)]

    assert told == [9, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_rabbitmq_counts_as_we_do() -> None:
    """D-82."""
    told = [broker.message_priority(priority, RABBITMQ) for priority in range(11)]

    assert told == list(range(11))


def test_a_priority_out_of_range_is_taken_as_the_nearest() -> None:
    assert broker.message_priority(99, RABBITMQ) == 10
    assert broker.message_priority(-1, RABBITMQ) == 0


@pytest.mark.parametrize("url", [REDIS, RABBITMQ])
def test_no_publisher_waits_for_ever(url: str) -> None:
    """X-4: kombu's own default is to try again without end."""
    options = broker.transport_options(url, "x")

    assert options["max_retries"] == 1


def test_rabbitmq_confirms_what_it_took() -> None:
    """X-4."""
    assert broker.transport_options(RABBITMQ, "x")["confirm_publish"] is True


def test_a_broker_that_is_not_there_is_a_fault_and_no_exception(tmp_path: object) -> None:
    fault = broker.fault(f"redis+socket://{tmp_path}/none.sock?virtual_host=0", "x")

    assert fault is not None
    assert "none.sock" in fault


def test_web_does_not_load_the_celery_app() -> None:
    """X-4: only workers and beat meet the broker."""
    program = (
        "import os, sys, django;"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings';"
        "django.setup(); import sentinel_project.urls;"
        "sys.exit('sentinel_project.celery' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
