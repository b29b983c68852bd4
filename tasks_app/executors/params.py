"""What a jobType lets its jobs be told: each parameter says what it accepts (W-4)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from jobs.rules.enums import ContentType

MAX_TEXTS = 1000
_SHOWN = 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class Refers(Enum):
    """What a parameter names, to be found before the run: its value is no secret itself."""

    CONNECTION = auto()
    SECRET = auto()
    ARTIFACT = auto()


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter; ``accepts`` is the end of the sentence "it must be …"."""

    accepts: str
    is_right: Callable[[object], bool]
    is_needed: bool = False
    refers: Refers | None = None

    def problem(self, name: str, value: object) -> str | None:
        if self.is_right(value):
            return None
        return f"params.{name}: it must be {self.accepts}, not {_shown(value)}"


def text(accepts: str = "text", *, high: int = 1024 * 1024, is_needed: bool = False) -> Param:
    return Param(accepts, lambda value: is_text(value) and len(str(value)) <= high, is_needed)


def integer(low: int, high: int) -> Param:
    def is_right(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return Param(f"an integer from {low} to {high}", is_right)


def number(low: float, high: float, accepts: str) -> Param:
    def is_right(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return low <= value <= high and math.isfinite(value)

    return Param(accepts, is_right)


def flag() -> Param:
    return Param("true or false", lambda value: isinstance(value, bool))


def word(*words: str) -> Param:
    return Param(f"one of {', '.join(words)}", lambda value: value in words)


def texts(accepts: str = "a list of texts") -> Param:
    return Param(accepts, _is_texts)


def table(accepts: str = "an object of texts") -> Param:
    """Names with texts, such as the headers of a request."""

    def is_right(value: object) -> bool:
        return (
            isinstance(value, Mapping)
            and len(value) <= MAX_TEXTS
            and all(is_text(each) for pair in value.items() for each in pair)
        )

    return Param(accepts, is_right)


def matching(pattern: re.Pattern[str], accepts: str) -> Param:
    return Param(accepts, lambda value: isinstance(value, str) and bool(pattern.fullmatch(value)))


def settings(name: re.Pattern[str], accepts: str) -> Param:
    """Names of a client's settings, each with a text, a number or a boolean."""

    def is_right(value: object) -> bool:
        return (
            isinstance(value, Mapping)
            and len(value) <= MAX_TEXTS
            and all(isinstance(key, str) and name.fullmatch(key) for key in value)
            and all(isinstance(each, int | float) or is_text(each) for each in value.values())
        )

    return Param(accepts, is_right)


def spelled(value: str | int | float) -> str:
    """Spell a boolean the way JSON and the submitter do, not the way Python does."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def connection(*, is_needed: bool = True) -> Param:
    """The name of a connection; the run finds its address in ``Execution.credentials``."""
    return Param("the name of a connection", is_name, is_needed, Refers.CONNECTION)


def secrets() -> Param:
    """Names of secrets or connections; the run finds them in ``Execution.credentials``."""
    accepts = "a list of names of secrets or connections"
    return Param(accepts, lambda value: _is_list(value, is_name), refers=Refers.SECRET)


def artifacts() -> Param:
    """Ids of artifacts; the run finds their files in ``Execution.artifacts``."""
    accepts = "a list of ids of artifacts"
    return Param(accepts, lambda value: _is_list(value, is_id), refers=Refers.ARTIFACT)


def listed(value: object) -> list[str]:
    """Return what a parameter names: one thing or a list of them."""
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


def is_text(value: object) -> bool:
    """Tell whether it is text with a UTF-8 form that a process can be handed."""
    return isinstance(value, str) and "\0" not in value and not re.search("[\ud800-\udfff]", value)


def is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def is_id(value: object) -> bool:
    """Ids come as numbers and as text of digits, as everywhere on the wire."""
    return not isinstance(value, bool) and _ID.fullmatch(str(value)) is not None


def _is_texts(value: object) -> bool:
    return _is_list(value, is_text)


def _is_list(value: object, is_right: Callable[[object], bool]) -> bool:
    return isinstance(value, list | tuple) and len(value) <= MAX_TEXTS and all(map(is_right, value))


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def kinds(content_types: frozenset[ContentType]) -> str:
    return " or ".join(f"{kind.value} ({kind.name})" for kind in sorted(content_types))
