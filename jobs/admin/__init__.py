"""Admin pages of apps, worker groups, jobs and the audit log."""

from __future__ import annotations

from jobs.admin.apps import AppAdmin
from jobs.admin.assets import ArtifactAdmin, CredentialAdmin, ScriptAdmin, ScriptVersionAdmin
from jobs.admin.audit import AuditEntryAdmin
from jobs.admin.grants import GrantAdmin
from jobs.admin.groups import WorkerGroupAdmin
from jobs.admin.jobs import JobAdmin

__all__ = [
    "AppAdmin",
    "ArtifactAdmin",
    "AuditEntryAdmin",
    "CredentialAdmin",
    "GrantAdmin",
    "JobAdmin",
    "ScriptAdmin",
    "ScriptVersionAdmin",
    "WorkerGroupAdmin",
]
