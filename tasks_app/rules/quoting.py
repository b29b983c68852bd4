"""How a value is written into a bash script, so that bash reads it as that value (X-20, D-86).

What is right depends on where it stands: as a word, inside "…" or '…', in a here-document, in a
comment. The reader follows the script up to that place. Where it cannot tell any more, as behind
nested substitutions or in arithmetic, only values that mean nothing to a shell are taken.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from enum import Enum

from sentinel_project.errors import InvalidParameters

#: Read as itself wherever it stands, at worst as several words.
_TAME = re.compile(r"[A-Za-z0-9_@%+=:,./ -]*", re.ASCII)
_HEREDOC = re.compile(r"<<(-?)[ \t]*(?:'([^'\n]*)'|\"([^\"\n]*)\"|(\\?)([^\s;&|<>()'\"`$\\]+))")
#: What a substitution inside of "…" may look like for the reader to step over it.
_SIMPLE = re.compile(
    r"\$\{[A-Za-z0-9_@*#?!$-]+\}"
    r"|\$\(\(?(?![^()]*\bcase\b)[^()'\"`\\#\n<]*\)?\)"
    r"|\$(?![({\[])"
)
_ARITHMETIC = re.compile(r"\$?\(\([^()'\"`\\\n#]*\)\)")
_ARITHMETIC_MARKS = {"((", "$((", "$["}
_BEFORE_WORD = " \t\n;&|()"
_BEHIND_DELIMITER = frozenset(" \t\n;&|<>()")
#: With a bracket behind them they begin a pattern, in which # is a character like any other.
_BEFORE_PATTERN = "!?*+@"


class Place(Enum):
    PLAIN = "a word"
    DOUBLE = 'inside "…"'
    SINGLE = "inside '…'"
    HEREDOC = "a here-document"
    COMMENT = "a comment"
    BACKTICK = "inside `…`"
    ANSI = "inside $'…'"
    LOST = "a nested substitution or arithmetic"


_OPENS = {"'": Place.SINGLE, '"': Place.DOUBLE, "`": Place.BACKTICK, "$'": Place.ANSI}
_OF_ONE_LINE = {Place.COMMENT}
#: Where a place may end, or needs a second look. An escaped character is stepped over.
_MARKS = {
    Place.PLAIN: re.compile(r"\\.|\$'|\$\[|\$?\(\(|<<<|<<|['\"`#\n]", re.DOTALL),
    Place.DOUBLE: re.compile(r'\\.|["$`\n]', re.DOTALL),
    Place.SINGLE: re.compile(r"['\n]"),
    Place.COMMENT: re.compile(r"\n"),
    Place.BACKTICK: re.compile(r"\\.|`", re.DOTALL),
    Place.ANSI: re.compile(r"\\.|'", re.DOTALL),
    Place.LOST: re.compile(r"(?!)"),
}
_WRITERS: dict[Place, Callable[[str], str]] = {
    Place.PLAIN: shlex.quote,
    Place.DOUBLE: lambda value: re.sub(r'([\\"$`])', r"\\\1", value),
    Place.SINGLE: lambda value: value.replace("'", "'\\''"),
    Place.COMMENT: lambda value: value,
}


class ShellReader:
    """Follows a script; ``quote`` writes a value for the place that was reached."""

    def __init__(self) -> None:
        self._place = Place.PLAIN
        self._before = "\n"
        #: Here-documents announced on this line: (delimiter, strips tabs, is literal).
        self._announced: list[tuple[str, bool, bool]] = []
        self._line = ""

    def quote(self, value: str) -> str:
        """Return ``value`` as this place needs it; refused where that is not known."""
        written = self._written(value)
        self._before = written[-1:] or self._before
        self._line += written
        return written

    def _written(self, value: str) -> str:
        # A dollar would make of the quotes, or of the value, something of its own.
        place = Place.LOST if self._before == "$" else self._place
        if place in _WRITERS and not ("\n" in value and place in _OF_ONE_LINE):
            return _WRITERS[place](value)
        if place is Place.HEREDOC and "\n" not in value:
            is_literal = self._announced[0][2]
            return value if is_literal else re.sub(r"([\\$`])", r"\\\1", value)
        if _TAME.fullmatch(value):
            return value
        raise InvalidParameters(
            f"its value cannot be quoted for the shell here ({place.value}); put it into a"
            " variable first"
        )

    def read(self, text: str) -> None:
        """Go on behind ``text``."""
        at = 0
        while at < len(text):
            at = self._step(text, at)
        self._before = text[-1:] or self._before

    def _step(self, text: str, at: int) -> int:
        """Read up to the next mark of this place; return where to go on."""
        if self._place is Place.HEREDOC:
            return self._heredoc(text, at)
        found = _MARKS[self._place].search(text, at)
        if found is None:
            return len(text)
        match self._place:
            case Place.PLAIN:
                return self._plain(text, found)
            case Place.DOUBLE if found[0] in {"$", "`"}:
                return self._skip(_SIMPLE, text, found)
            case _:
                return self._leave(found)

    def _leave(self, found: re.Match[str]) -> int:
        """Go back to plain script where a quotation or a comment ends."""
        if found[0] != "\n":
            if len(found[0]) == 1:
                self._place = Place.PLAIN
            return found.end()
        if self._place is Place.COMMENT:
            self._place = Place.PLAIN
            return found.start()
        if self._announced:
            # Where the bodies of here-documents begin is bash's own secret then.
            self._place = Place.LOST
        return found.end()

    def _plain(self, text: str, found: re.Match[str]) -> int:
        mark = found[0]
        if mark in _OPENS:
            self._place = _OPENS[mark]
        elif mark == "#":
            before = (self._before + text[: found.start()])[-2:]
            if before[-1] in _BEFORE_WORD:
                self._place = Place.LOST if _may_be_pattern(before) else Place.COMMENT
        elif mark == "\n" and self._announced:
            self._place, self._line = Place.HEREDOC, ""
        elif mark == "<<":
            return self._announce(text, found.start())
        elif mark in _ARITHMETIC_MARKS:
            return self._skip(_ARITHMETIC, text, found)
        return found.end()

    def _skip(self, simple: re.Pattern[str], text: str, found: re.Match[str]) -> int:
        """Step over what is simple; behind anything else nothing is known."""
        whole = simple.match(text, found.start())
        if whole is None:
            self._place = Place.LOST
            return found.end()
        return whole.end()

    def _announce(self, text: str, at: int) -> int:
        found = _HEREDOC.match(text, at)
        if found is None:
            self._place = Place.LOST
            return len(text)
        if text[found.end() : found.end() + 1] not in _BEHIND_DELIMITER:
            self._place = Place.LOST  # bash joins what follows to the delimiter
            return len(text)
        strips, single, double, escape, bare = found.groups()
        delimiter = next(word for word in (single, double, bare) if word is not None)
        self._announced.append((delimiter, bool(strips), bare is None or bool(escape)))
        return found.end()

    def _heredoc(self, text: str, at: int) -> int:
        end = text.find("\n", at)
        self._line += text[at : end if end >= 0 else len(text)]
        if end < 0:
            return len(text)
        delimiter, strips, _ = self._announced[0]
        if (self._line.lstrip("\t") if strips else self._line) == delimiter:
            del self._announced[0]
            self._place = Place.HEREDOC if self._announced else Place.PLAIN
        self._line = ""
        return end + 1


def _may_be_pattern(before: str) -> bool:
    """Tell whether the characters before a # may have begun a pattern such as !(#a)."""
    return before.endswith("(") and (len(before) == 1 or before[0] in _BEFORE_PATTERN)
