"""Who runs a command, for the audit log."""

from __future__ import annotations

import getpass


def who() -> str:
    """Return the name of the user; containers may have none for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "manage.py"
