"""Which jobTypes an app may use, and in which worker groups, as it was registered (D-80)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def refusal(allowed: Mapping[str, Sequence[int]], job_type: str, group_id: int) -> str | None:
    """Return why ``job_type`` may not run in a group, or None.

    ``allowed`` empty: every type; a type without groups: every group that the app may use.
    """
    if not allowed:
        return None
    if job_type not in allowed:
        return f"the app may use {', '.join(sorted(allowed))}, not {job_type}"
    groups = allowed[job_type]
    if groups and group_id not in groups:
        return f"the app may use {job_type} in the worker groups {sorted(groups)}, not {group_id}"
    return None
