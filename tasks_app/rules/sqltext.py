"""Where the statements of a text of SQL end, as each dialect sees it.

Only what can hide a semicolon is understood: strings, quoted identifiers, comments, dollar quotes
and, for SQLite, the body of a trigger. What is not closed reaches to the end of the text, and the
back end says so. The cost is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto


class Dialect(Enum):
    POSTGRES = auto()
    MYSQL = auto()
    SQLITE = auto()
    HIVE = auto()
    PRESTO = auto()


@dataclass(frozen=True, slots=True)
class _Syntax:
    """``opening`` finds a semicolon or the start of what may hide one."""

    opening: re.Pattern[str]
    #: Quotes inside which a backslash takes the next character's meaning away.
    escaped: str = ""
    is_nested: bool = False


_COMMENT = r"--|/\*"
_SYNTAX = {
    Dialect.POSTGRES: _Syntax(
        re.compile(rf";|(?<![\w$])[eE]'|['\"]|{_COMMENT}|(?<![\w$])\$(?:[^\W\d]\w*)?\$"),
        is_nested=True,
    ),
    # Without a blank after it, -- is two signs: 5--1 is 6.
    Dialect.MYSQL: _Syntax(re.compile(r";|['\"`]|--(?=\s|\Z)|#|/\*"), escaped="'\""),
    Dialect.SQLITE: _Syntax(re.compile(rf";|['\"`\[]|{_COMMENT}")),
    Dialect.HIVE: _Syntax(re.compile(rf";|['\"`]|{_COMMENT}"), escaped="'\""),
    Dialect.PRESTO: _Syntax(re.compile(rf";|['\"]|{_COMMENT}")),
}
_READS = re.compile(r"[\s(]*(?:select|values|table|with)\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(?:into|insert|update|delete|merge|replace)\b", re.IGNORECASE)
_NESTING = re.compile(r"/\*|\*/")
_CLOSING = {
    quote: re.compile(rf"(?:[^{quote}\\]++|\\.|{quote}{quote})*+{quote}", re.DOTALL)
    for quote in "'\""
}
_TRIGGER = re.compile(r"\s*create\s+(?:temp(?:orary)?\s+)?trigger\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a text; all parts together are the text again.

    ``bare`` is ``text`` with a blank for each comment and ``''`` for each quoted thing.
    """

    text: str
    bare: str
    #: Where the first character of the piece that is no blank stands, counted from 1.
    line: int

    @property
    def only_reads(self) -> bool:
        """Tell whether it is a query and nothing in it looks like a change.

        Where a name merely looks like one, the answer is no, which costs memory or time only.
        """
        return bool(_READS.match(self.bare)) and not _WRITES.search(self.bare)

    @property
    def statement(self) -> str:
        """What the back end is sent, without the semicolon; empty: there is nothing to send."""
        if not self.bare.strip("; \t\r\n\f\v"):
            return ""
        text = self.text.strip()
        return text[:-1].rstrip() if self.bare.rstrip().endswith(";") else text


def pieces(text: str, dialect: Dialect) -> Iterator[Piece]:
    """Yield ``text`` cut behind each semicolon that ends a statement."""
    start, line = 0, 1
    bare: list[str] = []
    for begin, end, shown in _parts(text, dialect):
        bare.append(shown)
        is_end = shown == ";" and end - begin == 1
        if is_end and not (dialect is Dialect.SQLITE and _is_in_trigger(bare)):
            yield _piece(text[start:end], bare, line)
            line += text.count("\n", start, end)
            start, bare = end, []
    if start < len(text):
        yield _piece(text[start:], bare, line)


def statements(text: str, dialect: Dialect) -> list[Piece]:
    """Return the pieces of ``text`` that have something to send."""
    return [piece for piece in pieces(text, dialect) if piece.statement]


def _piece(text: str, bare: list[str], line: int) -> Piece:
    blank = len(text) - len(text.lstrip())
    return Piece(text, "".join(bare), line + text.count("\n", 0, blank))


def _parts(text: str, dialect: Dialect) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and what is shown of it, for each stretch of ``text``."""
    syntax, at = _SYNTAX[dialect], 0
    while found := syntax.opening.search(text, at):
        if found.start() > at:
            yield at, found.start(), text[at : found.start()]
        at = _end(text, found, syntax)
        yield found.start(), at, _shown(text, found.start(), found[0], dialect)
    if at < len(text):
        yield at, len(text), text[at:]


def _shown(text: str, start: int, opening: str, dialect: Dialect) -> str:
    if opening == ";":
        return ";"
    if opening in ("--", "#", "/*"):
        # MySQL runs what stands in a comment that begins with an exclamation mark.
        is_run = dialect is Dialect.MYSQL and text.startswith(("/*!", "/*M!"), start)
        return "''" if is_run else " "
    return "''"


def _end(text: str, opening: re.Match[str], syntax: _Syntax) -> int:
    """Return where that which ``opening`` opens is closed: behind its last character."""
    mark, start = opening[0], opening.end()
    if mark == ";":
        return start
    if mark in ("--", "#"):
        return _behind(text, "\n", start)
    if mark == "/*":
        return _end_of_nested(text, start) if syntax.is_nested else _behind(text, "*/", start)
    quote = mark[-1]
    if (len(mark) == 2 and quote == "'") or quote in syntax.escaped:
        closed = _CLOSING[quote].match(text, start)
        return closed.end() if closed else len(text)
    # A doubled quote is two quoted things side by side, which hides as much.
    return _behind(text, "]" if mark == "[" else mark, start)


def _behind(text: str, mark: str, start: int) -> int:
    found = text.find(mark, start)
    return len(text) if found < 0 else found + len(mark)


def _end_of_nested(text: str, start: int) -> int:
    depth = 1
    for mark in _NESTING.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    return len(text)


def _is_in_trigger(bare: list[str]) -> bool:
    """Tell whether a trigger's body goes on behind this semicolon: it ends with ``; END ;``."""
    if not _TRIGGER.match("".join(bare[:8])):
        return False
    word = ""
    for shown in reversed(bare[:-1]):
        if shown == ";":
            return word.strip().lower() != "end"
        word = shown + word
        if len(word.strip()) > len("end"):
            return True
    return True
