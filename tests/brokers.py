"""What an installation leaves on a shared RabbitMQ, and how it is taken away again."""

from __future__ import annotations

from typing import Any

from kombu import Connection

from sentinel_project.broker import queue_name


def clear_rabbitmq(url: str, prefix: str) -> None:
    """Remove the queues and exchanges of an installation that has stopped, by their names."""
    names = [prefix, queue_name(prefix, 1), f"{prefix}.control", f"{prefix}.events"]
    with Connection(url, connect_timeout=3) as link:
        channel: Any = link.channel()
        for name in names:
            channel.queue_delete(name)
            channel.exchange_delete(name)
        for pidbox in (f"{prefix}.control.pidbox", f"reply.{prefix}.control.pidbox"):
            channel.exchange_delete(pidbox)
