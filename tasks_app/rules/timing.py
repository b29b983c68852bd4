"""The arithmetic of leases and rings (3-execution.md 2 and 3): the spans, and how they fit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

#: A ring that nobody answered is repeated after these spans; the last one stays (X-4).
REPEAT_RING_AFTER = (timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=60))
#: How long SIGKILL may take until it is proved that nothing of a tree is left (X-21).
END_WITHIN = timedelta(seconds=8)


@dataclass(frozen=True, slots=True)
class Lease:
    """How long an attempt belongs to its worker without a sign of life."""

    #: L: what a heartbeat grants.
    length: timedelta = timedelta(seconds=30)
    heartbeat: timedelta = timedelta(seconds=5)
    #: A worker without a confirmed beat gives up this much before its lease ends ...
    margin: timedelta = timedelta(seconds=8)
    #: ... and the rescuer takes over this much after.
    grace: timedelta = timedelta(seconds=5)

    def __post_init__(self) -> None:
        if not timedelta(0) < self.heartbeat * 2 < self.gives_up_after < self.length:
            raise ValueError(
                f"the lease does not fit: two heartbeats of {self.heartbeat} must end before the"
                f" worker gives up ({self.gives_up_after}), and that before the lease"
                f" ({self.length})"
            )
        if self.margin + self.grace < END_WITHIN:
            raise ValueError(
                f"the lease does not fit: a worker that gives up needs up to {END_WITHIN} to end"
                f" its processes, and only {self.margin + self.grace} are left until the take-over"
            )

    @property
    def gives_up_after(self) -> timedelta:
        """How long after its last confirmed beat a worker stops what it runs."""
        return self.length - self.margin
