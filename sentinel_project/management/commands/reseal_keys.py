"""``reseal_keys``: seal every app's keys under the present secret, after it was changed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.app_services import reseal_keys
from jobs.credential_services import reseal_credentials


class Command(BaseCommand):
    help = (
        "Seal every app's keys, and every connection and secret, under the present "
        "SENTINEL_SECRET_KEY. Afterwards no fallback of it is needed. Exit 1 if one cannot be "
        "opened with any secret."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done, unreadable = reseal_keys()
        self.stdout.write(f"{done} keys are sealed under the present secret")
        kept, lost = reseal_credentials()
        if kept:
            self.stdout.write(f"{kept} connections and secrets are sealed under the present secret")
        if unreadable:
            raise CommandError(
                f"the keys of {', '.join(unreadable)} were sealed under a secret that is neither "
                "SENTINEL_SECRET_KEY nor one of SENTINEL_SECRET_KEY_FALLBACKS; give the secret, or "
                "rotate these keys"
            )
        if lost:
            raise CommandError(
                f"the connections or secrets {', '.join(lost)} were sealed under another secret; "
                "give it as a fallback, or set them anew"
            )
