"""Delays: the next run is due n units after the previous one ended (D-17)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from .lattice import Lattice, Period
from .refusals import refusal
from .units import Every, read_every
from .walltime import LAST_MICROS, instant, micros

EXAMPLE = "m(30)"


@dataclass(frozen=True, slots=True)
class Delay:
    """``u(n)``: no slots of its own, since they depend on when runs end."""

    every: Every
    zone: tzinfo

    @property
    def text(self) -> str:
        return self.every.text

    @property
    def period(self) -> Period:
        return self.every.period

    def after_end(self, ended: datetime) -> datetime:
        """Return when the next run is due; the first counts from the saving instant."""
        lattice = Lattice.from_instant(micros(ended), self.period, self.zone)
        return instant(min(lattice.slot(1), LAST_MICROS))

    def describe(self) -> str:
        """Return the delay as an English sentence."""
        words = f"1 {self.every.words}" if self.every.count == 1 else self.every.words
        return f"{words} after the previous run ended, {self.zone}"


def parse_delay(text: str, *, zone: tzinfo) -> Delay:
    """Return the delay ``text`` names."""
    every = read_every(text, what="delay", example=EXAMPLE)
    if every.anchor is not None:
        raise refusal("a delay has no start, it counts from the end of a run", example=EXAMPLE)
    return Delay(every, zone)
