"""Indexes that were there twice or held nulls go, and edges are checked by a compiled function."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion as on_delete
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from tasks_app import triggers


def install(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    triggers.install(schema_editor.connection)


def _without_index(model: str, name: str, suffix: str, key: Any) -> Any:
    """Drop a key's own index by its name, for Django would rebuild SQLite's whole table for it."""
    table, column = f"tasks_app_{model}", f"{name}_id"
    index = f"{table}_{column}_{suffix}"
    made = f'CREATE INDEX "{index}" ON "{table}" ("{column}")'
    return migrations.SeparateDatabaseAndState(
        [migrations.RunSQL(f'DROP INDEX "{index}"', made)],
        [migrations.AlterField(model, name, key)],
    )


def _key(to: str, deleted: Any, related: str | None = None, *, null: bool = False) -> Any:
    return models.ForeignKey(to, on_delete=deleted, related_name=related, null=null, db_index=False)


def _where_given(model: str, column: str, name: str) -> Any:
    given = models.Q((f"{column}__isnull", False))
    return migrations.AddIndex(model, models.Index(fields=[column], condition=given, name=name))


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0008_keep_the_cursor_of_what_is_set_aside"),
        ("tasks_app", "0009_system_alarms_and_unopened_runs"),
    ]

    operations = [
        _where_given("task", "batch", "task_of_batch"),
        _where_given("task", "named_by", "task_named_by"),
        _where_given("task", "opened_by_expression", "task_opened_by"),
        migrations.RemoveIndex("task", "task_ended"),
        _where_given("task", "ended_at", "task_ended"),
        migrations.RemoveIndex("event", "event_processed"),
        _where_given("event", "processed_at", "event_processed"),
        _without_index(
            "task",
            "batch",
            "3fdafc76",
            _key("tasks_app.batch", on_delete.PROTECT, "tasks", null=True),
        ),
        _without_index("task", "job", "dce17de4", _key("jobs.job", on_delete.PROTECT, "tasks")),
        _without_index(
            "task",
            "named_by",
            "a51310db",
            _key("tasks_app.task", on_delete.SET_NULL, "+", null=True),
        ),
        _without_index(
            "task",
            "opened_by_expression",
            "92954594",
            _key("jobs.scheduleexpression", on_delete.SET_NULL, "+", null=True),
        ),
        _without_index(
            "task", "worker_group", "dba84cdb", _key("jobs.workergroup", on_delete.PROTECT)
        ),
        _without_index(
            "attempt", "task", "1c5225fa", _key("tasks_app.task", on_delete.CASCADE, "attempts")
        ),
        _without_index("event", "job", "9db867a4", _key("jobs.job", on_delete.CASCADE, "+")),
        migrations.RunPython(install, migrations.RunPython.noop),
    ]
