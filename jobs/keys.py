"""App keys: made, and kept sealed under the installation's secret (W-12)."""

from __future__ import annotations

import base64
import hashlib
import secrets
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

_PURPOSE = b"sentinel.app-key\x00"


class Unreadable(Exception):
    """It was sealed under a secret that is neither the present one nor a fallback."""


def new_key() -> str:
    """Return a fresh appKey: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def seal(key: str) -> str:
    return _sealer().encrypt(key.encode()).decode()


def unseal(sealed: str) -> str:
    """Return what was sealed, under the present secret or an earlier one; or raise Unreadable."""
    try:
        return _sealer().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise Unreadable from error


def sealed_decoy() -> str:
    """Return a key that nobody has, sealed: to open it costs what opening a real one does."""
    return _decoy_of(*_words())


def _sealer() -> MultiFernet:
    """Return what seals with SECRET_KEY, and still opens what a fallback has sealed."""
    return _sealer_of(*_words())


def _words() -> tuple[str, ...]:
    return (str(settings.SECRET_KEY), *map(str, settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=8)
def _sealer_of(*words: str) -> MultiFernet:
    digests = (hashlib.sha256(_PURPOSE + word.encode()).digest() for word in words)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


@lru_cache(maxsize=8)
def _decoy_of(*words: str) -> str:
    return _sealer_of(*words).encrypt(new_key().encode()).decode()
