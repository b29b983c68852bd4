"""App keys: made, and kept sealed under the installation's secret (W-12)."""

from __future__ import annotations

import base64
import hashlib
import secrets

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

_PURPOSE = b"sentinel.app-key\x00"


def new_key() -> str:
    """Return a fresh appKey: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def seal(key: str) -> str:
    return _sealer().encrypt(key.encode()).decode()


def unseal(sealed: str) -> str:
    """Return the key; raises InvalidToken if it was sealed under a secret we no longer have."""
    return _sealer().decrypt(sealed.encode()).decode()


def _sealer() -> MultiFernet:
    """Seals with SECRET_KEY, and still opens what an earlier one has sealed."""
    secrets_ = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = (hashlib.sha256(_PURPOSE + str(secret).encode()).digest() for secret in secrets_)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
