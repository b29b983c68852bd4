"""What was not acknowledged is no trouble of a worker whose Redis is gone (X-4)."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection
from kombu.transport import redis

from sentinel_project import broker, redis_bells
from tests.flow.executions import eventually


@pytest.mark.parametrize("is_ours", [False, True], ids=["kombu", "ours"])
def test_a_channel_with_an_unanswered_bell_is_closed_though_its_redis_is_gone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    is_ours: bool,
) -> None:
    """Celery collects the connection that it lost, and then closes it."""
    monkeypatch.setattr(redis.Channel, "QoS", redis_bells.QoS if is_ours else redis.QoS)
    socket = tmp_path / "s"
    (tmp_path / "data").mkdir()
    server = subprocess.Popen(
        broker.embedded_command(socket, tmp_path / "data"), stdout=subprocess.DEVNULL
    )
    with server:
        assert eventually(socket.exists)
        connection = Connection(f"redis+socket://{socket}")
        queue: Any = connection.SimpleQueue("bells")
        queue.put("ring")
        queue.get(timeout=5)
        server.kill()
    connection.transport.client = None

    with caplog.at_level(logging.WARNING):
        if is_ours:
            queue.channel.close()
        else:
            with pytest.raises(AttributeError):
                queue.channel.close()

    assert ("bells.not_put_back" in caplog.text) == is_ours
