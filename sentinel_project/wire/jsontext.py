"""JSON as strangers write it: what the standard parser lets through, or dies of, is named (W-5)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice

from sentinel_project.errors import InvalidParameters

MAX_DEPTH = 32
_MAX_DIGITS = 308
_MAX_PROBLEMS = 20
_SHOWN = 60
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Stands where the text had something no field takes, until its place in the tree is known."""

    why: str


#: Stands for a whole value of which it was told what is wrong: no field takes it.
UNUSABLE: object = _Unusable("cannot be used")


def parse(text: str, *, name: str) -> object:
    """Return the value of ``text``; not JSON is refused. ``name`` is the field it came in.

    The value is usable only where ``problems_of`` finds nothing.
    """
    try:
        value: object = _DECODER.decode(text)
    except RecursionError:
        raise InvalidParameters(_too_deep(name)) from None
    except json.JSONDecodeError as error:
        raise InvalidParameters(
            f"{name} is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from None
    return value


def problems_of(value: object, *, name: str = "") -> list[str]:
    """Return what in ``value`` cannot be stored, each with its path below ``name``."""
    return list(islice(_walk(value, name), _MAX_PROBLEMS))


def problems_by_name(value: Mapping[str, object]) -> dict[str, list[str]]:
    """Return what below each of the names of a whole request cannot be stored, the first twenty."""
    found: dict[str, list[str]] = {}
    left = _MAX_PROBLEMS
    for name, item in value.items():
        walk = chain(_bad_keys("", {name: None}), _walk(item, printable(name[:_SHOWN]), depth=2))
        if problems := list(islice(walk, left)):
            found[name] = problems
            left -= len(problems)
    return found


def dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def canonical(value: object) -> str:
    """Return the one text of ``value``, whatever the order of its keys was."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def shown(value: object) -> str:
    """Return ``value`` as a message may quote it: short, and printable whatever it holds."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return printable(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def printable(text: str) -> str:
    """Return ``text`` with what no database column can hold spelled out."""
    return _UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _walk(value: object, name: str, depth: int = 1) -> Iterator[str]:
    """Look at everything without recursion, in the order of the text."""
    stack: list[tuple[str, object, int]] = [(name, value, depth)]
    while stack:
        path, item, depth = stack.pop()
        if isinstance(item, dict | list):
            if depth > MAX_DEPTH:
                yield _too_deep(path)
                continue
            yield from _bad_keys(path, item)
            stack.extend(reversed([(*child, depth + 1) for child in _children(path, item)]))
        elif isinstance(item, _Unusable):
            yield f"{path or 'the value'} {item.why}"
        elif isinstance(item, str) and (why := _unstorable(item)):
            yield f"{path or 'the value'} {why}"


def _children(path: str, item: dict[str, object] | list[object]) -> Iterator[tuple[str, object]]:
    if isinstance(item, list):
        yield from ((f"{path}[{index}]", child) for index, child in enumerate(item))
        return
    for key, child in item.items():
        short = printable(key[:_SHOWN])
        yield (f"{path}.{short}" if path else short), child


def _bad_keys(path: str, item: dict[str, object] | list[object]) -> Iterator[str]:
    for key in item if isinstance(item, dict) else ():
        if why := _unstorable(key):
            yield f"the name {printable(key[:_SHOWN])} in {path or 'the object'} {why}"


def _unstorable(text: str) -> str:
    """Say what in ``text`` no database column can hold; empty if all is well."""
    found = _UNSTORABLE.search(text)
    if found is None:
        return ""
    what = "a NUL character" if found[0] == "\x00" else "half of a surrogate pair"
    return f"holds {what} at character {found.start()}, which is not accepted"


def _too_deep(path: str) -> str:
    return f"{path or 'the value'} is nested deeper than the {MAX_DEPTH} levels accepted"


def _integer(text: str) -> int | _Unusable:
    digits = len(text.lstrip("-"))
    if digits > _MAX_DIGITS:
        return _Unusable(f"is a number of {digits} digits, more than the {_MAX_DIGITS} accepted")
    return int(text)


def _float(text: str) -> float | _Unusable:
    value = float(text)
    return value if math.isfinite(value) else _constant(text[:_SHOWN])


def _constant(text: str) -> _Unusable:
    return _Unusable(f"is {text}; only finite numbers a double can hold are accepted")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        found[key] = _Unusable("is given twice") if key in found else value
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
