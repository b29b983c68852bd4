"""The four fields of a call, signed afresh each time it is sent (docs/wire.md, the token)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from sentinel_project import clock
from sentinel_project.wire import token


class TokenForm(StrEnum):
    """Which token: the strong one signs the whole call; the published one only proves the key."""

    STRONG = "v2"
    PUBLISHED = "v1"


@dataclass(frozen=True, slots=True)
class Signer:
    """Who calls. The key is shown nowhere, not even in a representation."""

    app: str
    key: str = field(repr=False)
    user: str
    form: TokenForm = TokenForm.STRONG

    def fields(self, path: str, parameters: str) -> dict[str, str]:
        """Return an envelope whose token is good for this one sending."""
        stamp = str(int(clock.now().timestamp() * 1000))
        return {
            "user": self.user,
            "appName": self.app,
            "appToken": self._token(path, parameters, stamp),
            "parameters": parameters,
        }

    def _token(self, path: str, parameters: str, stamp: str) -> str:
        if self.form is TokenForm.PUBLISHED:
            return stamp + token.signature(self.key, stamp)
        nonce = secrets.token_hex(16)
        subject = token.Subject(path, self.app, self.user, parameters)
        signed = token.strong_signature(self.key, subject, stamp=stamp, nonce=nonce)
        return f"v2:{stamp}:{nonce}:{signed}"
