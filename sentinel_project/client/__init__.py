"""Sentinel from the outside: a client of its API, and the command line ``sentinel`` built on it.

    with Client("http://127.0.0.1:8000", app="demo", key=key, user="ann") as client:
        job = client.submit(jobName="hello", jobType="shell", content="echo hello", isTemp=True)

Knows no framework and nothing of the server but the words of the wire.
"""

from __future__ import annotations

from sentinel_project.client.client import Client
from sentinel_project.client.errors import (
    ClientError,
    GaveUp,
    Refusal,
    ServerBroken,
    Unreachable,
    Unreadable,
    WrongAddress,
)
from sentinel_project.client.signing import TokenForm

__all__ = [
    "Client",
    "ClientError",
    "GaveUp",
    "Refusal",
    "ServerBroken",
    "TokenForm",
    "Unreachable",
    "Unreadable",
    "WrongAddress",
]
