"""What callers ask of job definitions: validated as a whole, then written as a whole."""

from __future__ import annotations

from jobs.services.edit import edit_job, set_dependencies, set_schedule
from jobs.services.edits import JobChange
from jobs.services.grants import change_grants, set_grants
from jobs.services.skips import skip_slot
from jobs.services.status import restore_job, set_status
from jobs.services.submit import next_times, submit_job

__all__ = [
    "JobChange",
    "change_grants",
    "edit_job",
    "next_times",
    "restore_job",
    "set_dependencies",
    "set_grants",
    "set_schedule",
    "set_status",
    "skip_slot",
    "submit_job",
]
