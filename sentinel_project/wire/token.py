"""appToken: how a caller proves that it holds the app's key (W-10, W-11). Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_DIGITS = 10
_V1 = re.compile(r"(?P<stamp>[0-9]{10}|[0-9]{13})(?P<signature>[0-9a-f]{32})")
_V2 = re.compile(
    r"v2:(?P<stamp>[0-9]{10}|[0-9]{13}):(?P<nonce>[A-Za-z0-9_-]{8,64}):(?P<signature>[0-9a-f]{64})"
)


class Verdict(Enum):
    GOOD = auto()
    #: Signed by the right key, but too long ago or too far ahead.
    STALE = auto()
    BAD = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart. Only the strong form has a nonce."""

    stamp: str
    signature: str
    nonce: str = ""

    @property
    def is_strong(self) -> bool:
        return bool(self.nonce)

    @property
    def signed_at(self) -> datetime:
        """Return the instant of the stamp: 10 digits are seconds, 13 milliseconds."""
        if len(self.stamp) == _SECONDS_DIGITS:
            return _EPOCH + timedelta(seconds=int(self.stamp))
        return _EPOCH + timedelta(milliseconds=int(self.stamp))


@dataclass(frozen=True, slots=True)
class Subject:
    """What the strong form signs beside the stamp and the nonce."""

    path: str
    app_name: str
    user: str
    #: None: the parameters came as an object, which has no one text to sign.
    parameters: str | None


#: Stands in for a token of no known form, so that refusing it costs the same.
_DECOY = Token(stamp="0" * _SECONDS_DIGITS, signature="")


def parse(text: str) -> Token | None:
    """Take ``text`` apart; None: neither of the two forms."""
    found = _V1.fullmatch(text) or _V2.fullmatch(text)
    return None if found is None else Token(**found.groupdict())


def verify(
    token: Token | None,
    *,
    keys: Iterable[str],
    subject: Subject,
    now: datetime,
    window: timedelta,
) -> Verdict:
    """Tell what ``token`` is worth. All ``keys`` are tried until one fits."""
    tried = token or _DECOY
    fits = any(
        hmac.compare_digest(_signature(tried, key, subject), tried.signature) for key in keys
    )
    if token is None or not fits or (token.is_strong and subject.parameters is None):
        return Verdict.BAD
    return Verdict.GOOD if abs(now - token.signed_at) <= window else Verdict.STALE


def _signature(token: Token, key: str, subject: Subject) -> str:
    if token.is_strong:
        return strong_signature(key, subject, stamp=token.stamp, nonce=token.nonce)
    return signature(key, token.stamp)


def signature(key: str, stamp: str) -> str:
    """Return the published form's signature: MD5, because integrators compute exactly that."""
    return hashlib.md5((key + stamp).encode(), usedforsecurity=False).hexdigest()


def strong_signature(key: str, subject: Subject, *, stamp: str, nonce: str) -> str:
    digest = hashlib.sha256((subject.parameters or "").encode()).hexdigest()
    words = ("SENTINEL-V2", subject.path, subject.app_name, subject.user, stamp, nonce, digest)
    return hmac.new(key.encode(), "\n".join(words).encode(), hashlib.sha256).hexdigest()
