"""Which jobTypes an app may use, and in which worker groups, as it was registered (D-80)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def problem(allowed: Mapping[str, object]) -> str | None:
    """Return what is wrong with the form of ``allowed``, the end of a sentence, or None."""
    for job_type, groups in allowed.items():
        if not isinstance(groups, list) or not all(map(_is_id, groups)):
            return f"must have a list of worker group ids for {job_type}, not {groups!r:.60}"
    return None


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63


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
