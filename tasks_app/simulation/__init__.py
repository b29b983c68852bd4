"""Rehearsals: the real engine, a private database, a virtual clock, scripted outcomes (D-72)."""

from __future__ import annotations

from typing import Any

from tasks_app.simulation.actions import perform
from tasks_app.simulation.document import read
from tasks_app.simulation.report import report
from tasks_app.simulation.world import World


def simulate(raw: object) -> dict[str, Any]:
    """Rehearse a parsed document on the current, empty database and return the report."""
    world = World(read(raw), perform)
    world.run()
    return report(world)
