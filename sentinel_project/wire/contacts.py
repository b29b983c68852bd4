"""Wire fields for where somebody can be told something: web and mail addresses."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from sentinel_project.netguard import addresses
from sentinel_project.wire.fields import TextField


class UrlField(TextField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(high=1024, **kwargs)
        self.accepts = "a public http or https address of at most 1024 characters, or empty text"

    def to_internal_value(self, data: Any) -> Any:
        """Take what may be called as far as its text tells; the call itself checks again."""
        url = super().to_internal_value(data)
        if url:
            try:
                addresses.checked(url, allow_private=settings.SENTINEL_CALLBACK_ALLOW_PRIVATE)
            except addresses.AddressRefused:
                self.refuse(data)
        return url


class MailField(TextField):
    """A mail address, and nothing but the address."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(low=1, high=254, **kwargs)
        self.accepts = "a mail address of at most 254 characters"

    def to_internal_value(self, data: Any) -> Any:
        mail = super().to_internal_value(data)
        try:
            validate_email(mail)
        except ValidationError:
            self.refuse(data)
        return mail


class WebhookField(UrlField):
    """An address that is needed, unlike a callback's."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = 1
        self.accepts = "a public http or https address of at most 1024 characters"
