"""Real beats and workers on each stack: what is submitted runs once, whatever is killed."""

from __future__ import annotations

import json
import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import psycopg2
import pytest
from kombu import Connection
from kombu.exceptions import OperationalError

from tests.brokers import clear_rabbitmq
from tests.flow.executions import eventually, living
from tests.flow.processes import FAILED, KILLED, SUCCESS, Installation

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(300)]

POSTGRES = "postgres://postgres@127.0.0.1"
RABBITMQ = "amqp://guest:guest@127.0.0.1:5672//"


@pytest.fixture(
    scope="module",
    params=[
        "embedded",
        pytest.param("servers", marks=[pytest.mark.postgres, pytest.mark.rabbitmq]),
    ],
)
def sentinel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Everything, with two beats; in the end every run that was owed is accounted for (D-73)."""
    extra = {"SENTINEL_BEATS": "2"}
    if request.param == "servers":
        extra |= request.getfixturevalue("servers")
    installation = Installation(tmp_path_factory.mktemp("flow") / "run", **extra)
    with installation.running():
        yield installation
        found = json.loads(installation.manage("verify")[0])
        assert (found["missing"], found["duplicate"], found["unexplained"]) == ([], [], []), found


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """A database and a queue prefix of our own on the servers of this machine."""
    name = f"sentinel_test_{secrets.token_hex(6)}"
    try:
        control = psycopg2.connect(f"{POSTGRES}/postgres", connect_timeout=3)
        with Connection(RABBITMQ, connect_timeout=3) as broker:
            broker.ensure_connection(max_retries=1, timeout=3)
    except (psycopg2.OperationalError, OperationalError, OSError) as error:
        pytest.skip(f"needs PostgreSQL and RabbitMQ on the loopback: {error}")
    control.autocommit = True
    with control.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield {
            "SENTINEL_DATABASE_URL": f"{POSTGRES}/{name}",
            "SENTINEL_BROKER_URL": RABBITMQ,
            "SENTINEL_BROKER_PREFIX": name,
        }
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    control.close()
    clear_rabbitmq(RABBITMQ, name)


def test_a_schedule_opens_each_slot_once_with_two_beats(sentinel: Installation) -> None:
    """D-21, X-2."""
    every_two = [{"operatorMode": 1, "expression": "*/2 * * * * *"}]
    job_id = sentinel.submit("true", scheduleExpressionList=every_two)

    assert eventually(lambda: len(sentinel.tasks(job_id)) >= 5, within=30)
    slots = [task["scheduleTime"] for task in reversed(sentinel.tasks(job_id))]
    assert [after - before for before, after in pairwise(slots)] == ([2000] * (len(slots) - 1))


def test_a_failing_task_is_tried_as_often_as_its_job_says(sentinel: Installation) -> None:
    """X-6: attempts are at least ``failedInterval`` apart."""
    job_id = sentinel.submit("exit 3", failedAttempts=2, failedInterval=1)

    assert sentinel.ends(job_id, FAILED)
    task = sentinel.call("/api/task/query", taskId=sentinel.tasks(job_id)[0]["taskId"])
    attempts = task["attempts"]
    assert [attempt["attemptId"] for attempt in attempts] == [1, 2, 3]
    pauses = [after["startTime"] - before["endTime"] for before, after in pairwise(attempts)]
    assert min(pauses) >= 1000


def test_a_kill_ends_the_whole_tree(sentinel: Installation) -> None:
    """D-53, X-21."""
    seconds = f"3{secrets.randbelow(10**8):08}"
    job_id = sentinel.submit(f"sleep {seconds} & sleep {seconds}")
    assert eventually(lambda: len(living(seconds)) == 2)
    sentinel.call("/api/task/kill", taskIds=[sentinel.tasks(job_id)[0]["taskId"]])

    assert sentinel.ends(job_id, KILLED)
    assert living(seconds) == []


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("worker",), id="worker"),
        pytest.param(("beat",), id="one beat"),
    ],
)
def test_killing_a_part_loses_and_doubles_nothing(
    sentinel: Installation, words: tuple[str, ...]
) -> None:
    """I5, I7: after the restart every task ends SUCCESS."""
    jobs = [sentinel.submit("sleep 0.1", failedAttempts=3, failedInterval=1) for _ in range(20)]
    sentinel.part(*words).send_signal(signal.SIGKILL)
    jobs += [sentinel.submit("sleep 0.1", failedAttempts=3, failedInterval=1) for _ in range(10)]

    assert eventually(lambda: {sentinel.status(job) for job in jobs} == {SUCCESS}, within=150)
    assert Counter(len(sentinel.tasks(job)) for job in jobs) == {1: len(jobs)}


def test_equal_intervals_keep_no_beat_from_starting(sentinel: Installation) -> None:
    """I7: two beats that start for the first time at once may each have made one."""
    another = "IntervalSchedule.objects.create(every=10, period='minutes')"
    library = "from django_celery_beat.models import IntervalSchedule"
    assert sentinel.manage("shell", "-v0", "-c", f"{library}; {another}") == ("", 0)
    for _ in range(2):
        beat = sentinel.part("beat")
        beat.kill()
        beat.wait(10)
    job_id = sentinel.submit("true")

    assert sentinel.ends(job_id, SUCCESS, within=60)


def test_a_killed_embedded_broker_loses_nothing(sentinel: Installation) -> None:
    """X-4, I13: messages are doorbells."""
    if "SENTINEL_BROKER_URL" in sentinel.env:
        pytest.skip("the broker is not ours to kill")
    jobs = [sentinel.submit("sleep 0.1") for _ in range(20)]
    sentinel.broker().send_signal(signal.SIGKILL)
    jobs += [sentinel.submit("sleep 0.1") for _ in range(10)]

    assert eventually(lambda: {sentinel.status(job) for job in jobs} == {SUCCESS}, within=120)
