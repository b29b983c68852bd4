r"""Placeholders in content and parameters, filled in as an attempt starts (D-86).

`$YTD()`, `$YTD(n)`, `$YTD(format)`, `$YTD(n,format)`, each also as `${YTD(…)}`: the data time,
shifted by n days, as ``yyyyMMdd`` or by the format.
`${date:SHIFT:FORMAT}`: the data time, shifted, in the format. Either part may be left out. SHIFT
is a row of `+n` or `-n` with a unit (s m h d w M y) and of `/u`, back to the start of a unit; it is
read from left to right. `${dataTime}` and `${scheduleTime}` take the same behind a colon.
`${jobId}`, `${taskId}`, `${attemptId}`, and `${name}` for a parameter that the job has.

Anything else, `${HOME}` and `$$` too, is left as it is; a backslash directly before one of these
forms is dropped and keeps it literal. A form that is begun and not finished is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sentinel_project.errors import InvalidParameters
from tasks_app.rules.dateshift import Shift, formatted, parse_shift
from tasks_app.rules.quoting import ShellReader

_IDS = {"jobId": "job_id", "taskId": "task_id", "attemptId": "attempt_number"}
_TIMES = {"scheduleTime": "schedule_time", "dataTime": "data_time"}
#: Names that a parameter must not have.
RESERVED = frozenset(_IDS) | frozenset(_TIMES)
MAX_RENDERED = 4 * 1024 * 1024
_MAX_PROBLEMS = 20
_LONGEST_FORM = 256

_OPENING = re.compile(
    r"\\?(?:(?P<ytd>\$\{?YTD\()|(?P<date>\$\{date:)"
    r"|\$\{(?P<own>jobId|taskId|attemptId|scheduleTime|dataTime)(?![A-Za-z0-9_])"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\})",
    re.ASCII,
)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_MAX_DAYS = 999_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What placeholders stand for. Both times are aware and in the job's zone."""

    job_id: int
    task_id: int
    attempt_number: int
    schedule_time: datetime
    data_time: datetime
    params: Mapping[str, Any]


_Fill = Callable[[Values], str]


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A form in a text, at ``start``; ``name``: the parameter it stands for, if it does."""

    start: int
    fill: _Fill
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A text, taken apart."""

    text: str
    pieces: tuple[str | Placeholder, ...]

    @property
    def names(self) -> frozenset[str]:
        """The parameters that the text refers to."""
        holders = (each for each in self.pieces if isinstance(each, Placeholder))
        return frozenset(each.name for each in holders if each.name is not None)

    def render(self, values: Values, *, is_shell: bool = False) -> str:
        """Return the text with all filled in; refused: dates that do not exist, too much text."""
        if not any(isinstance(piece, Placeholder) for piece in self.pieces):
            return "".join(map(str, self.pieces))
        reader = ShellReader() if is_shell else None
        found: list[str] = []
        size = 0
        for piece in self.pieces:
            found.append(self._written(piece, values, reader))
            size += len(found[-1])
            if size > MAX_RENDERED:
                raise InvalidParameters(f"it would have more than {MAX_RENDERED} characters")
        return "".join(found)

    def _written(self, piece: str | Placeholder, values: Values, reader: ShellReader | None) -> str:
        if isinstance(piece, str):
            if reader is not None:
                reader.read(piece)
            return piece
        try:
            value = piece.fill(values)
            return value if reader is None else reader.quote(value)
        except InvalidParameters as refusal:
            raise InvalidParameters(f"{place(self.text, piece.start)}: {refusal}") from None


def parse(text: str, declared: Collection[str] = ()) -> Template:
    """Take ``text`` apart; ``declared``: the parameters that may be referred to by name.

    Every malformed form is refused, with its line and column.
    """
    pieces: list[str | Placeholder] = []
    problems: list[str] = []
    at = 0
    for opening in _openings(text, declared):
        start = opening.start()
        if start < at:
            continue  # inside of a form: its own text
        if text[start] == "\\":
            pieces += [text[at:start], text[start + 1 : opening.end()]]
            at = opening.end()
            continue
        try:
            holder, end = _placeholder(text, opening)
        except InvalidParameters as refusal:
            problems.append(f"{place(text, start)}: {refusal}")
            if len(problems) == _MAX_PROBLEMS:
                break
            continue
        pieces += [text[at:start], holder]
        at = end
    if problems:
        raise InvalidParameters(*problems)
    return Template(text, (*pieces, text[at:]))


def _openings(text: str, declared: Collection[str]) -> Iterator[re.Match[str]]:
    for found in _OPENING.finditer(text):
        if found["name"] is None or found["name"] in declared:
            yield found


def place(text: str, at: int) -> str:
    """Return line and column of an index, both from 1."""
    start = text.rfind("\n", 0, at) + 1
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - start + 1}"


def _placeholder(text: str, opening: re.Match[str]) -> tuple[Placeholder, int]:
    """Return the placeholder that begins at ``opening``, and where it ends."""
    start, end = opening.span()
    if opening["ytd"]:
        inside, end = _inside(text, end, ")}" if "{" in opening["ytd"] else ")")
        return Placeholder(start, _ytd(inside)), end
    if opening["date"]:
        inside, end = _inside(text, end, "}")
        return Placeholder(start, partial(_moment, "data_time", *_suffix(inside))), end
    if opening["name"]:
        name = opening["name"]
        return Placeholder(start, partial(_param, name), name), end
    inside, end = _inside(text, end, "}")
    return Placeholder(start, _own(opening["own"], inside)), end


def _inside(text: str, at: int, closing: str) -> tuple[str, int]:
    """Return what stands before ``closing``, on the same line, and where it ends."""
    end = text.find(closing, at, at + _LONGEST_FORM)
    if end < 0 or "\n" in text[at:end]:
        raise InvalidParameters(f"this placeholder is not closed by {closing}")
    return text[at:end], end + len(closing)


def _ytd(inside: str) -> _Fill:
    first, *more = inside.split(",")
    days, pattern = 0, "yyyyMMdd"
    if len(more) > 1:
        raise InvalidParameters("YTD takes at most two arguments: (days,format)")
    if _INTEGER.fullmatch(first.strip()):
        days = int(first) if len(first) < _LONGEST_DIGITS else _MAX_DAYS + 1
        pattern = more[0] if more else pattern
    elif more:
        raise InvalidParameters(f"the first of two arguments must be an integer, not {first!r}")
    elif inside:
        pattern = first
    if abs(days) > _MAX_DAYS:
        raise InvalidParameters(f"days must be from -{_MAX_DAYS} to {_MAX_DAYS}")
    if not pattern:
        raise InvalidParameters("the format is empty; leave out the comma, or write yyyyMMdd")
    return partial(_moment, "data_time", Shift.of_days(days), pattern)


_LONGEST_DIGITS = 20


def _suffix(inside: str) -> tuple[Shift, str | None]:
    """Read SHIFT:FORMAT, of which either may be missing."""
    if inside[:1] in {"+", "-", "/"}:
        shift, colon, pattern = inside.partition(":")
        if colon and not pattern:
            raise InvalidParameters("the format behind the colon is empty, such as yyyy-MM-dd")
        return parse_shift(shift), pattern or None
    return Shift(), inside.removeprefix(":") or None


def _own(name: str, inside: str) -> _Fill:
    if name in _IDS:
        if inside:
            raise InvalidParameters(f"behind {name} comes }}, not {inside[0]!r}")
        return partial(_id, _IDS[name])
    if inside and not inside.startswith(":"):
        raise InvalidParameters(f"behind {name} comes }} or a colon, not {inside[0]!r}")
    return partial(_moment, _TIMES[name], *_suffix(inside[1:]))


def _id(field: str, values: Values) -> str:
    return str(getattr(values, field))


def _moment(field: str, shift: Shift, pattern: str | None, values: Values) -> str:
    moment = shift.applied(getattr(values, field))
    return moment.isoformat() if pattern is None else formatted(moment, pattern)


def _param(name: str, values: Values) -> str:
    return spelled(values.params[name])


def spelled(value: object) -> str:
    """Spell a value as JSON does, but text as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def render_params(params: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """Return ``params`` with the texts in them, at any depth, filled in.

    A parameter does not refer to another one: what stands for itself could not be told apart.
    """
    found: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in params.items():
        try:
            found[name] = _rendered(value, values)
        except InvalidParameters as refusal:
            problems += [f"params.{name}: {problem}" for problem in refusal.problems]
    if problems:
        raise InvalidParameters(*problems)
    return found


def _rendered(value: Any, values: Values) -> Any:
    match value:
        case str():
            return parse(value).render(values)
        case Mapping():
            return {name: _rendered(inner, values) for name, inner in value.items()}
        case list() | tuple():
            return [_rendered(inner, values) for inner in value]
        case _:
            return value
