"""A worker outlives a Redis that went away while a bell was on its way to a slot.

As it closes the lost channel, kombu wants to put back what was not acknowledged, and asks the very
connection that was lost. What that raises is no error of a connection to Celery, which ends the
worker with all that it runs. A bell that is not put back is rung again (X-4).
"""

from __future__ import annotations

import logging
from typing import Any

from kombu.transport import redis

logger = logging.getLogger(__name__)


class QoS(redis.QoS):
    """Puts back what it can."""

    def restore_unacked(self, client: Any = None) -> None:
        try:
            super().restore_unacked(client)
        except Exception:
            logger.warning("bells.not_put_back", exc_info=True)
            if self._delivered is not None:
                self._delivered.clear()


def install() -> None:
    """Have every channel to a Redis put back what it can, and no more."""
    redis.Channel.QoS = QoS
