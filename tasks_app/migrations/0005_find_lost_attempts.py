"""Lost attempts are counted at every scrape of /metrics; creating an index rebuilds no table."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0004_rendered_content_and_types_of_workers")]

    operations = [
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("status", "LOST")), fields=["ended_at"], name="attempt_lost"
            ),
        ),
    ]
