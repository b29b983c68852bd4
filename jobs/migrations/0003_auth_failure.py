"""Failed authentications, counted across processes (W-12)."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0002_default_worker_group")]

    operations = [
        migrations.CreateModel(
            name="AuthFailure",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "app_name",
                    models.CharField(help_text="as given, its first 64 characters", max_length=64),
                ),
                ("address", models.CharField(max_length=64)),
                ("at", models.DateTimeField(db_index=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["app_name", "address", "at"], name="auth_failure_of")
                ],
            },
        ),
    ]
