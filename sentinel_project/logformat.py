"""One JSON object a log line: message ``noun.verb``, ids as fields, content and keys never."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _shown(value: object) -> str:
    """Return what stands for ``value``: of a request its path, since a token may be behind it."""
    method, path = getattr(value, "method", None), getattr(value, "path", None)
    return f"{method} {path}" if method and path else str(value)


class JsonFormatter(logging.Formatter):
    """Formats a record and whatever its caller passed in ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=_shown)
