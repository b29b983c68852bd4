"""``reseal_keys``: seal every app's keys under the present secret, after it was changed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.app_services import reseal_keys


class Command(BaseCommand):
    help = (
        "Seal every app's keys under the present SENTINEL_SECRET_KEY. Afterwards no fallback of it "
        "is needed. Exit 1 if a key cannot be opened with any secret."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done, unreadable = reseal_keys()
        self.stdout.write(f"{done} keys are sealed under the present secret")
        if unreadable:
            raise CommandError(
                f"the keys of {', '.join(unreadable)} were sealed under a secret that is neither "
                "SENTINEL_SECRET_KEY nor one of SENTINEL_SECRET_KEY_FALLBACKS; give the secret, or "
                "rotate these keys"
            )
