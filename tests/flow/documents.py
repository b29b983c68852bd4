"""A rehearsal document that the tests of ``manage.py simulate`` vary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Runs the command in this process: (exit code, standard output, standard error).
Simulate = Callable[..., tuple[int, str, str]]

DAILY = {"type": 1, "expression": "0 0 12 * * ?"}
DOCUMENT: dict[str, Any] = {
    "zone": "Asia/Shanghai",
    "start": "2026-03-02T00:00:00",
    "until": "2026-03-04T00:00:00",
    "jobs": [
        {"id": "A", "schedule": [DAILY], "duration": 60},
        {"id": "B", "dependencies": [{"pre": "A", "offset": ""}]},
    ],
}
