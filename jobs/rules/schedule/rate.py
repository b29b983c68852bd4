"""Rates: a slot every n units, from a written start or from the saving instant (D-16)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from .lattice import Lattice
from .series import Series
from .units import Every, read_every
from .walltime import micros, wall_micros

EXAMPLE = "h(2) or d('2026-01-01 03:00:00',1)"


@dataclass(frozen=True, slots=True)
class Rate(Series):
    """``u(n)`` or ``u('yyyy-MM-dd HH:mm:ss',n)``."""

    every: Every
    lattice: Lattice

    @property
    def text(self) -> str:
        return self.every.text

    def next_micros(self, at: int) -> int | None:
        return self.lattice.next_micros(at)

    def previous_micros(self, at: int) -> int | None:
        return self.lattice.previous_micros(at)

    def describe(self) -> str:
        """Return the rate as an English sentence."""
        start = f", from {self.every.anchor}" if self.every.anchor else ""
        return f"every {self.every.words}{start}, {self.lattice.zone}"


def parse_rate(text: str, *, zone: tzinfo, saved_at: datetime | None) -> Rate:
    """Return the rate ``text`` names; without a start in it, ``saved_at`` is slot number 0."""
    every = read_rate(text)
    if every.anchor is not None:
        lattice = Lattice.from_wall(wall_micros(every.anchor), every.period, zone)
    else:
        assert saved_at is not None
        lattice = Lattice.from_instant(micros(saved_at), every.period, zone, first=1)
    return Rate(every, lattice)


def read_rate(text: str) -> Every:
    return read_every(text, what="rate", example=EXAMPLE)
