"""Who sits before the admin site in tests: an operator who may do everything, or a part of it."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.test import Client


def superuser() -> Client:
    """Return a browser with olga logged in, who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("olga"))
    return client


def staff(*codenames: str) -> Client:
    """Return a browser with vera logged in, who has these permissions and no others."""
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client
