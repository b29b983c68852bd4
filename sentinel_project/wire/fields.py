"""Wire fields: each says what it accepts and turns it into our words (W-4).

Ranges are checked before the value is converted: Django REST framework runs its own ``min_value``
after the conversion, on what is no number any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum, StrEnum
from functools import cache
from typing import Any, NoReturn, overload
from zoneinfo import available_timezones

from rest_framework import serializers

from sentinel_project.errors import InvalidParameters
from sentinel_project.wire import jsontext

#: The code of an error that names its field itself.
WHOLE_SENTENCE = "whole_sentence"
MAX_ID = 2**63 - 1
MAX_LIST = 1000
#: The last millisecond that a Python datetime and both databases can hold.
MAX_INSTANT = 253_402_300_799_999
MAX_SECONDS = 100 * 365 * 86400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_LABELS = re.compile(r",?[0-9]{1,19}(,[0-9]{1,19})*,?")


@overload
def to_millis(at: datetime) -> int: ...
@overload
def to_millis(at: datetime | None) -> int | None: ...
def to_millis(at: datetime | None) -> int | None:
    """Return ``at`` as the wire counts instants; None stays None."""
    return None if at is None else (at - _EPOCH) // timedelta(milliseconds=1)


class WireField(serializers.Field[Any, Any, Any, Any]):
    """``accepts`` is the end of the sentence "it must be …"."""

    accepts = "a value"
    default_error_messages = {
        "required": "is missing; it must be {accepts}",
        "null": "must be {accepts}, not null",
        "wrong": "must be {accepts}, not {found}",
    }

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        super().fail(key, accepts=self.accepts, **kwargs)

    def refuse(self, data: object) -> NoReturn:
        self.fail("wrong", found=jsontext.shown(data))

    def to_representation(self, value: Any) -> Any:
        return value


class IntegerField(WireField):
    """An integer, also as text; booleans and fractions are none."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high = low, high
        self.accepts = f"an integer from {low} to {high}"

    def to_internal_value(self, data: Any) -> Any:
        value = _integer(data)
        if value is None or not self.low <= value <= self.high:
            self.refuse(data)
        return value


def _integer(data: object) -> int | None:
    if isinstance(data, str) and _INTEGER.fullmatch(data):
        return int(data)
    return data if isinstance(data, int) and not isinstance(data, bool) else None


class IdField(IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, MAX_ID, **kwargs)


class OptionalIdField(IntegerField):
    """An id where 0 says that there is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(0, MAX_ID, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data) or None


class SecondsField(IntegerField):
    def __init__(self, low: int = 0, high: int = MAX_SECONDS, **kwargs: Any) -> None:
        super().__init__(low, high, **kwargs)
        self.accepts = f"a number of seconds from {low} to {high}"

    def to_internal_value(self, data: Any) -> Any:
        return timedelta(seconds=super().to_internal_value(data))

    def to_representation(self, value: Any) -> Any:
        return value // timedelta(seconds=1)


class InstantField(IntegerField):
    """Epoch milliseconds; 0 is None."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(0, MAX_INSTANT, **kwargs)
        self.accepts = f"epoch milliseconds from 0 (none) to {MAX_INSTANT}"

    def to_internal_value(self, data: Any) -> Any:
        millis = super().to_internal_value(data)
        return _EPOCH + timedelta(milliseconds=millis) if millis else None

    def to_representation(self, value: Any) -> Any:
        return to_millis(value) or 0

    def get_attribute(self, instance: Any) -> Any:
        """Show None as 0, where Django REST framework would leave it out."""
        return super().get_attribute(instance) or _EPOCH


class CodeField(WireField):
    """One of an enum's integers, or only of those ``among`` them that fit here."""

    def __init__(self, words: type[IntEnum], among: Iterable[IntEnum] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = {int(word): word for word in (list(among) or list(words))}
        listed = ", ".join(f"{code} ({word.name})" for code, word in self.words.items())
        self.accepts = f"one of {listed}" if len(self.words) > 1 else listed

    def to_internal_value(self, data: Any) -> Any:
        value = _integer(data)
        if value not in self.words:
            self.refuse(data)
        return self.words[value]

    def to_representation(self, value: Any) -> Any:
        return int(value)


class WordField(WireField):
    """One of an enum's words."""

    def __init__(self, words: type[StrEnum], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words: dict[str, Enum] = {word.value: word for word in words}
        self.accepts = "one of " + ", ".join(self.words)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.words:
            self.refuse(data)
        return self.words[data]

    def to_representation(self, value: Any) -> Any:
        return str(value)


class FlagField(WireField):
    accepts = "true or false"
    _words: Mapping[tuple[type, object], bool] = {
        (bool, True): True,
        (bool, False): False,
        (int, 1): True,
        (int, 0): False,
        (str, "true"): True,
        (str, "false"): False,
    }

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, bool | int | str) or (type(data), data) not in self._words:
            self.refuse(data)
        return self._words[type(data), data]


class TextField(WireField):
    """Text as it is: nothing is trimmed, numbers are not text. ``max_bytes`` counts UTF-8."""

    def __init__(self, *, low: int = 0, high: int = 0, max_bytes: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high, self.max_bytes = low, high, max_bytes
        limit = f"{high} characters" if high else f"{max_bytes} bytes of UTF-8"
        self.accepts = f"text of {low} to {limit}" + (" (not only blanks)" if low else "")

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or len(data) < self.low or (self.low and not data.strip()):
            self.refuse(data)
        if self.high and len(data) > self.high:
            self.fail("wrong", found=f"{len(data)} characters")
        if self.max_bytes and (size := len(data.encode())) > self.max_bytes:
            self.fail("wrong", found=f"{size} bytes")
        return data


class ObjectField(WireField):
    """A free JSON object, or the text of one."""

    accepts = "a JSON object or the text of one"

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            data = self._parsed(data)
        if not isinstance(data, dict):
            self.refuse(data)
        return data

    def _parsed(self, text: str) -> object:
        """Look into ``text`` as the envelope has already looked into an object."""
        name = self.field_name or "the value"
        try:
            value = jsontext.parse(text, name=name)
        except InvalidParameters as error:
            raise serializers.ValidationError(str(error), code=WHOLE_SENTENCE) from None
        if problems := jsontext.problems_of(value, name=name):
            raise serializers.ValidationError(problems, code=WHOLE_SENTENCE)
        return value


class LabelsField(WireField):
    """Ids between commas, as ``,1,2,``; empty text is none of them."""

    accepts = 'ids between commas such as ",1,2,", or empty text'

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or (data and not _LABELS.fullmatch(data)):
            self.refuse(data)
        labels = tuple(dict.fromkeys(int(label) for label in data.split(",") if label))
        if any(not 1 <= label <= MAX_ID for label in labels) or len(data) > MAX_LIST:
            self.refuse(data)
        return labels

    def to_representation(self, value: Any) -> Any:
        return "".join(f",{label}" for label in value) + ("," if value else "")


class ZoneField(WireField):
    accepts = "an IANA time zone such as Asia/Shanghai"

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in _zones():
            self.refuse(data)
        return data


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


class ListField(serializers.ListField):
    """A list of at most a thousand; null is an empty one if ``allow_null``."""

    default_error_messages = {
        "required": "is missing; it must be a list",
        "null": "must be a list, not null",
        "not_a_list": "must be a list",
        "empty": "must not be empty",
        "min_length": "must hold at least {min_length}",
        "max_length": f"must hold at most {MAX_LIST}",
    }

    def to_internal_value(self, data: Any) -> Any:
        """Refuse a long list before its thousands of items are looked at."""
        if not isinstance(data, list):
            raise serializers.ValidationError(f"must be a list, not {jsontext.shown(data)}")
        if len(data) > MAX_LIST:
            raise serializers.ValidationError(f"must hold at most {MAX_LIST}, not {len(data)}")
        if not data and not self.allow_empty:
            self.fail("empty")
        return tuple(super().to_internal_value(data))
